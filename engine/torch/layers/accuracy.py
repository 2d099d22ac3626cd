"""Accuracy: Caffe's accuracy_layer.cpp."""

import torch
from torch import Tensor

from .labels import check_labels
from .layer import Layer, canonical


class Accuracy(Layer):
    """The share of labels that are right; that of each class in a second top.

    A label is right where fewer than `top_k` scores are at least its own, itself not counted: ties count as wrong.
    """

    bottoms = (2, 2)
    tops = (1, 2)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return a scalar, and (C,)."""
        p, scores = self.param.accuracy_param, bottoms[0].detach()
        axis = canonical(p.axis, scores.dim())
        labels = check_labels(self, bottoms[1], scores.shape, axis)
        counted = labels != p.ignore_label if p.HasField("ignore_label") else torch.ones_like(labels, dtype=torch.bool)
        labels = labels.masked_fill(~counted, 0)
        own = scores.gather(axis, labels.unsqueeze(axis))
        # A NaN is at least nothing: then not even a label's own score is counted, and Caffe calls it right.
        right = ((scores >= own).sum(dim=axis) - 1 < p.top_k) & counted
        tops = [_share(right.sum(), counted.sum())]
        if len(self.param.top) > 1:
            each = torch.arange(scores.shape[axis], device=scores.device)[:, None]
            of_class = (labels.flatten() == each) & counted.flatten()
            tops.append(_share((of_class & right.flatten()).sum(dim=1), of_class.sum(dim=1)))
        return tops


def _share(right: Tensor, counted: Tensor) -> Tensor:
    """Return right / counted, 0 where none is counted."""
    return right.float() / counted.clamp(min=1)
