"""`caffe.Classifier`: a net that classifies images."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from emotiw.engine.preprocessing import crop_places

from .blobs import Array
from .io import Transformer, resize_image
from .io import oversample as ten_crops
from .net import Net
from .proto.caffe_pb2 import TEST


class Classifier(Net):
    """A net that classifies images, with the `transformer` that turns them into its input.

    Parameters
    ----------
    model_file, pretrained_file
        A deploy.prototxt, and its caffemodel.
    image_dims
        (height, width) to which images are resized before they are cropped to the net's input; None: the input's.
    mean, input_scale, raw_scale, channel_swap
        As for `Transformer`; None: this step is left out.
    """

    def __init__(
        self,
        model_file: str,
        pretrained_file: str,
        image_dims: Sequence[int] | None = None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        name = self.inputs[0]
        self.transformer = Transformer({name: self.blobs[name].shape})
        self.transformer.set_transpose(name, (2, 0, 1))
        if mean is not None:
            self.transformer.set_mean(name, mean)
        if input_scale is not None:
            self.transformer.set_input_scale(name, input_scale)
        if raw_scale is not None:
            self.transformer.set_raw_scale(name, raw_scale)
        if channel_swap is not None:
            self.transformer.set_channel_swap(name, channel_swap)
        self.crop_dims = self.blobs[name].shape[2:]
        self.image_dims: Sequence[int] = self.crop_dims if image_dims is None else image_dims

    def predict(self, inputs: Sequence[Array], oversample: bool = True) -> NDArray[np.float32]:
        """Return the class posteriors of images.

        Parameters
        ----------
        inputs : N of (H, W, K)
        oversample
            Whether to average over ten crops (corners, centre, and their mirror images), or to use the centre only.

        Returns
        -------
        (N, classes) float32
        """
        resized = [resize_image(image, self.image_dims) for image in inputs]
        if oversample:
            made = self._first_output(ten_crops(resized, self.crop_dims))
            return np.asarray(made.reshape(len(resized), 10, -1).mean(axis=1))
        height, width = self.crop_dims
        ((top, left, _),) = crop_places(resized[0].shape[:2], (height, width), 1)
        return self._first_output([image[top : top + height, left : left + width] for image in resized])

    def _first_output(self, pictures: Iterable[Array]) -> NDArray[np.float32]:
        """Return the net's first output, (N, classes), of N images."""
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, picture) for picture in pictures])
        made: NDArray[np.float32] = self.forward_all(None, **{name: batch})[self.outputs[0]]
        return made
