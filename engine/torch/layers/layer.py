"""The base class of layers: parameters from a prototxt, learned blobs, and a forward pass in plain torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .data_source import Classes
from .data_source import Shape as Shape

Counts = tuple[int, int | None]  # least and most; None: any number


@dataclass(frozen=True)
class Learned:
    """The shape and FillerParameter of a learned blob."""

    shape: Shape
    filler: FillerParameter


class Layer(torch.nn.Module):
    """A layer of a net.

    Parameters
    ----------
    param
        As in the prototxt, with its `phase`.

    Attributes
    ----------
    bottoms, tops
        How many of each this type takes.
    in_place
        Whether a top may have the name of a bottom.
    is_loss
        Whether the first top is a loss if the prototxt sets no `loss_weight`; such a top need not be named.
    loss_weights
        The loss weight of each top that `forward` returns.
    propagates
        For each bottom, whether gradients are propagated to it.
    blobs, shapes
        The learned blobs, including shared ones, which the net fills; and their shapes in this layer.

    Raises
    ------
    EmotiwError
        If the parameters contradict each other. The message lacks the layer's name, which the net adds.
    """

    bottoms: ClassVar[Counts] = (1, 1)
    tops: ClassVar[Counts] = (1, 1)
    in_place: ClassVar[bool] = True
    is_loss: ClassVar[bool] = False

    def __init__(self, param: LayerParameter) -> None:
        super().__init__()
        self.param = param
        self.blobs = torch.nn.ParameterList()
        self.shapes: list[Shape] = []
        self.propagates: list[bool] = []
        self.loss_weights = self._loss_weights()

    @classmethod
    def check_counts(cls, param: LayerParameter) -> None:
        """Refuse a number of bottoms or tops that the type does not take, and computing in place if it cannot."""
        least_tops = 0 if cls.is_loss else cls.tops[0]
        for names, (least, most), what in (
            (param.bottom, cls.bottoms, "bottoms"),
            (param.top, (least_tops, cls.tops[1]), "tops"),
        ):
            if len(names) < least or (most is not None and len(names) > most):
                wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
                raise EmotiwError(f"it takes {wanted} {what}, not {len(names)}")
        if not cls.in_place and set(param.top) & set(param.bottom):
            raise EmotiwError("it does not compute in place: give its top another name")
        if len(param.propagate_down) not in (0, len(param.bottom)):
            raise EmotiwError("propagate_down is given for every bottom, or for none")

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the blobs that the layer learns, given the shapes of its bottoms."""
        return []

    def classes(self, shapes: Sequence[Shape]) -> Classes | None:
        """Return the allowed values of its second bottom if that holds labels, else None."""
        return None

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the tops."""
        raise NotImplementedError

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the shapes of the tops, given those of the bottoms, without computing."""
        return [tuple(top.shape) for top in self(*(torch.empty(shape, device="meta") for shape in shapes))]

    def weights(self, bottom: Tensor) -> list[Tensor]:
        """Return the learned blobs in this layer's shapes: a shared blob may have another shape in its owner.

        If the bottom is on device "meta" (a shape without data), so are they.
        """
        if bottom.is_meta:
            return [torch.empty(shape, device="meta") for shape in self.shapes]
        return [
            blob if blob.shape == shape else blob.reshape(shape)
            for blob, shape in zip(self.blobs, self.shapes, strict=True)
        ]

    def _loss_weights(self) -> list[float]:
        """Layer::SetLossWeights, and LossLayer's weight of 1."""
        given, count = list(self.param.loss_weight), len(self.param.top)
        if given and len(given) != count:
            raise EmotiwError(f"{len(given)} loss weights for {count} tops")
        return given or ([1.0] if self.is_loss else [0.0] * count)


def canonical(axis: int, axes: int) -> int:
    """Return a non-negative axis: Caffe's CanonicalAxisIndex."""
    if not -axes <= axis < axes:
        raise EmotiwError(f"there is no axis {axis} in a blob of {axes} axes")
    return axis % axes
