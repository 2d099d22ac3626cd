"""Labels as Caffe's layers take them: numbers in float32, one for each place of the scores but their class axis."""

from collections.abc import Sequence

import torch
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import AccuracyParameter, LossParameter

from .data_source import Classes
from .layer import Layer, Shape, canonical


class Labelled(Layer):
    """A layer of scores, N x C x ..., and of their labels, N x ... or of as many numbers."""

    bottoms = (2, 2)

    def _told(self) -> tuple[int, AccuracyParameter | LossParameter]:
        """Return the axis of the classes, and the message that has `ignore_label`."""
        raise NotImplementedError

    def classes(self, shapes: Sequence[Shape]) -> Classes:
        """Return which labels it takes."""
        axis, told = self._told()
        ignored = told.ignore_label if told.HasField("ignore_label") else None
        return Classes(self.param.name, shapes[0][canonical(axis, len(shapes[0]))], ignored)

    def labels(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return the labels as int64, of the shape of the scores without the classes' axis, and what to add to the top.

        That is 0, but NaN where on a GPU a label is no class: to look at it would take time, and torch itself would end
        the process. Such a label is 0 then.

        Raises
        ------
        EmotiwError
            If there are not as many, or on the CPU one is no class.
        """
        axis = canonical(self._told()[0], scores.dim())
        shape = (*scores.shape[:axis], *scores.shape[axis + 1 :])
        if labels.numel() != torch.Size(shape).numel():
            raise EmotiwError(
                f"{labels.numel()} labels for scores of {tuple(scores.shape)}: one for each place but axis {axis}"
            )
        whole, classes = labels.detach().long().reshape(shape), self.classes([tuple(scores.shape)])
        outside = (whole < 0) | (whole >= classes.count)
        if classes.ignored is not None:
            outside &= whole != classes.ignored
        if whole.device.type != "cpu":
            return spared(whole, outside)
        if outside.any():
            label = int(whole[outside][0])
            raise EmotiwError(f"label {label} is none of its {classes.count} classes, 0 to {classes.count - 1}")
        return whole, 0.0


def spared(labels: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels with 0 instead of those outside, and NaN where there are any, else 0."""
    return labels.masked_fill(outside, 0), torch.where(outside.any(), torch.nan, 0.0)
