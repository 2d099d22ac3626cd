"""Accuracy and ArgMax: Caffe's accuracy_layer.cpp and argmax_layer.cpp."""

import torch
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import AccuracyParameter

from .labelled import Labelled
from .layer import Layer, canonical


class Accuracy(Labelled):
    """The share of correct labels; a second top has the share for each class.

    A label is correct if fewer than `top_k` other scores are at least its own: ties count as wrong.
    """

    tops = (1, 2)

    def _axis_and_param(self) -> tuple[int, AccuracyParameter]:
        return self.param.accuracy_param.axis, self.param.accuracy_param

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return a scalar, and, if there is a second top, (C,)."""
        p, scores = self.param.accuracy_param, bottoms[0].detach()
        axis = canonical(p.axis, scores.dim())
        labels, wrong = self.labels(scores, bottoms[1])
        if p.top_k > scores.shape[axis]:
            raise EmotiwError(f"top_k is {p.top_k}, of {scores.shape[axis]} classes")
        counted = labels != p.ignore_label if p.HasField("ignore_label") else torch.ones_like(labels, dtype=torch.bool)
        labels = labels.masked_fill(~counted, 0)
        own = scores.gather(axis, labels.unsqueeze(axis))
        # Comparisons with NaN are false: if the label's score is NaN, no score is at least its own, and Caffe calls it
        # correct.
        right = ((scores >= own).sum(dim=axis) - 1 < p.top_k) & counted
        tops = [_share(right.sum(), counted.sum()) + wrong]
        if len(self.param.top) > 1:
            each = torch.arange(scores.shape[axis], device=scores.device)[:, None]
            of_class = (labels.flatten() == each) & counted.flatten()
            tops.append(_share((of_class & right.flatten()).sum(dim=1), of_class.sum(dim=1)))
        return tops


def _share(right: Tensor, counted: Tensor) -> Tensor:
    """Return right / counted, 0 if none is counted."""
    return right.float() / counted.clamp(min=1)


class ArgMax(Layer):
    """The indices of the `top_k` largest values; of equal ones the last comes first.

    Along `axis`. Without an axis, over everything after the first axis, N x 1 x k x 1..., and with `out_max_val` their
    values, too, N x 2 x k x 1.... With an axis, `out_max_val` returns the values only.
    """

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the indices as float32, or what `out_max_val` adds to them or puts in their place."""
        p = self.param.argmax_param
        with_axis = p.HasField("axis")
        axis = canonical(p.axis, bottoms[0].dim()) if with_axis else 1
        numbers = bottoms[0].detach() if with_axis else bottoms[0].detach().flatten(1)
        count = numbers.shape[axis]
        if not 1 <= p.top_k <= count:
            raise EmotiwError(f"top_k is 1 to {count}, not {p.top_k}")
        values, places = numbers.flip(axis).sort(stable=True, dim=axis, descending=True)
        values, places = values.narrow(axis, 0, p.top_k), count - 1 - places.narrow(axis, 0, p.top_k).float()
        if with_axis:
            return [values if p.out_max_val else places]
        top = torch.stack([places, values], 1) if p.out_max_val else places.unsqueeze(1)
        return [top.view(*top.shape, *[1] * (bottoms[0].dim() - 3))]
