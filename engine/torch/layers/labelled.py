"""Layers with labels as in Caffe: float32, one for each position of the scores without their class axis."""

from collections.abc import Sequence

import torch
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import AccuracyParameter, LossParameter

from .data_source import Classes
from .layer import Layer, Shape, canonical


class Labelled(Layer):
    """A layer with scores, N x C x ..., and labels, N x ... or another shape of the same size."""

    bottoms = (2, 2)

    def _axis_and_param(self) -> tuple[int, AccuracyParameter | LossParameter]:
        """Return the axis of the classes, and the message that has `ignore_label`."""
        raise NotImplementedError

    def classes(self, shapes: Sequence[Shape]) -> Classes:
        """Return the labels that it accepts."""
        axis, param = self._axis_and_param()
        ignored = param.ignore_label if param.HasField("ignore_label") else None
        return Classes(self.param.name, shapes[0][canonical(axis, len(shapes[0]))], ignored)

    def labels(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return the labels as int64, in the scores' shape without the class axis, and a term to add to the top.

        The term is 0, or NaN if a label on a GPU is not a class: fetching labels to check them would take time, and
        torch itself would abort the process. Such labels are replaced by 0.

        Raises
        ------
        EmotiwError
            If their number is wrong, or, on the CPU, if one is not a class.
        """
        axis = canonical(self._axis_and_param()[0], scores.dim())
        shape = (*scores.shape[:axis], *scores.shape[axis + 1 :])
        if labels.numel() != torch.Size(shape).numel():
            given = f"{labels.numel()} labels for scores of {tuple(scores.shape)}"
            raise EmotiwError(f"{given}: one for each position without axis {axis}")
        whole, classes = labels.detach().long().reshape(shape), self.classes([tuple(scores.shape)])
        outside = (whole < 0) | (whole >= classes.count)
        if classes.ignored is not None:
            outside &= whole != classes.ignored
        if whole.device.type != "cpu":
            return spared(whole, outside)
        if outside.any():
            label = int(whole[outside][0])
            raise EmotiwError(f"label {label} is not one of its {classes.count} classes, 0 to {classes.count - 1}")
        return whole, 0.0


def spared(labels: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels with those outside replaced by 0, and NaN if there are any, else 0."""
    return labels.masked_fill(outside, 0), torch.where(outside.any(), torch.nan, 0.0)
