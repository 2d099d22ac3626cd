"""`caffe.io.Transformer`: from an image to a net's input, and back."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotiw.engine.preprocessing import resize_image, resize_mean
from emotiw.errors import EmotiwError

from .blobs import Array


class Transformer:
    """Turns images into a net's inputs by these steps, in this order; steps that are not set are left out.

    - resized to the input's height and width by `resize_image`, float32
    - axes permuted (`set_transpose`), such as from H x W x C to C x H x W
    - channels permuted (`set_channel_swap`), such as from RGB to BGR
    - times `raw_scale`, such as from [0, 1] to [0, 255]
    - minus the mean
    - times `input_scale`

    Parameters
    ----------
    inputs
        The shape of each input by its name.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def preprocess(self, in_: str, data: Array) -> NDArray[np.float32]:
        """Return the values for input `in_` of an (H, W, K) image, which is not changed."""
        self._check(in_)
        image = data.astype(np.float32)
        if image.shape[:2] != self.inputs[in_][2:]:
            image = resize_image(image, (self.inputs[in_][2], self.inputs[in_][3]))
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        for sign, numbers in ((1, self.raw_scale), (-1, self.mean), (1, self.input_scale)):
            if in_ in numbers:
                image = image * numbers[in_] if sign > 0 else image - numbers[in_]
                image = image.astype(np.float32, copy=False)  # rounded after each step, as pycaffe works in place
        return image

    def deprocess(self, in_: str, data: Array) -> Array:
        """Undo `preprocess` of one image, except the resizing; axes of length 1 are dropped first."""
        self._check(in_)
        image = data.copy().squeeze()
        image = image / self.input_scale.get(in_, 1)
        image = image + self.mean.get(in_, np.zeros((), image.dtype))
        image = image / self.raw_scale.get(in_, 1)
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        return image.transpose(np.argsort(self.transpose[in_])) if in_ in self.transpose else image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the image axis of each input axis after the first: (2, 0, 1) for H x W x C images."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise EmotiwError(f"the order of the axes {order} needs one for each of {self.inputs[in_][1:]}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the image channel of each input channel: (2, 1, 0) for RGB to BGR."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise EmotiwError(f"the order of the channels {order} needs one for each of {self.inputs[in_][1]}")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor before the mean is subtracted."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Set the mean: one number per channel, or a (C, H, W) mean, which is resized to the input."""
        self._check(in_)
        shape = self.inputs[in_][1:]
        if mean.ndim == 1 and mean.shape == shape[:1]:
            self.mean[in_] = mean[:, np.newaxis, np.newaxis]
        elif mean.ndim == 3:
            self.mean[in_] = mean if mean.shape == shape else resize_mean(mean, (shape[1], shape[2]))
        else:
            raise ValueError(f"a mean is ({shape[0]},), or C x H x W, not {mean.shape}")

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor after the mean is subtracted."""
        self._check(in_)
        self.input_scale[in_] = scale

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise EmotiwError(f"{in_!r} is not an input: there are {', '.join(self.inputs)}")
