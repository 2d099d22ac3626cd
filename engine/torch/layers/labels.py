"""Labels as Caffe's layers take them: numbers in float32, one for each place of the scores but their class axis."""

import torch
from torch import Tensor

from emotiw.errors import EmotiwError

from .layer import Layer


def check_labels(layer: Layer, labels: Tensor, scores: torch.Size, axis: int) -> Tensor:
    """Return the labels as int64, of the shape of the scores without `axis`.

    Raises
    ------
    EmotiwError
        Where there are not as many, or one is no class (looked at on the CPU; on a GPU torch itself stops).
    """
    shape = (*scores[:axis], *scores[axis + 1 :])
    if labels.numel() != torch.Size(shape).numel():
        raise EmotiwError(f"{labels.numel()} labels for scores of {tuple(scores)}: one for each place but axis {axis}")
    whole = labels.detach().long().reshape(shape)
    if whole.device.type == "cpu":
        _check_classes(layer, whole, scores[axis])
    return whole


def _check_classes(layer: Layer, labels: Tensor, classes: int) -> None:
    """Refuse labels that are neither a class nor the ignored label."""
    # The ignored label of a loss and of an accuracy stand in messages of their own.
    told = layer.param.accuracy_param if layer.param.type == "Accuracy" else layer.param.loss_param
    outside = (labels < 0) | (labels >= classes)
    if told.HasField("ignore_label"):
        outside &= labels != told.ignore_label
    if outside.any():
        label = int(labels[outside][0])
        raise EmotiwError(f"label {label} is none of its {classes} classes, 0 to {classes - 1}")
