"""Softmax and the losses: Caffe's softmax_layer.cpp, and its *_loss_layer.cpp."""

from collections.abc import Sequence
from math import log, prod

import torch
from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import LossParameter

from .data_source import Classes
from .labelled import Labelled
from .layer import Layer, Shape, canonical

_LOG_FLT_MIN = log(1.1754943508222875e-38)  # smaller probabilities are clipped to FLT_MIN
_FULL, _VALID, _BATCH_SIZE, _NONE = range(4)
_L2 = 2


class Softmax(Layer):
    """exp(x) / sum exp(x) along `axis`."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        return [functional.softmax(bottoms[0], canonical(self.param.softmax_param.axis, bottoms[0].dim()))]


class SoftmaxWithLoss(Labelled):
    """-sum log max(p, FLT_MIN) of the labels / norm.

    The norm is VALID (labels not ignored), FULL (all labels), BATCH_SIZE or NONE (1), and at least 1.
    """

    is_loss = True

    def _axis_and_param(self) -> tuple[int, LossParameter]:
        return self.param.softmax_param.axis, self.param.loss_param

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the loss, a scalar."""
        scores, loss_param = bottoms[0], self.param.loss_param
        axis = canonical(self.param.softmax_param.axis, scores.dim())
        labels, wrong = self.labels(scores, bottoms[1])
        ignored = labels == loss_param.ignore_label if loss_param.HasField("ignore_label") else None
        if ignored is not None:
            labels = labels.masked_fill(ignored, 0)
        log_p = functional.log_softmax(scores, axis)
        found = log_p.gather(axis, labels.unsqueeze(axis))
        # Caffe's gradient ignores the clipping.
        found = found + (found.detach().clamp(min=_LOG_FLT_MIN) - found.detach())
        if ignored is not None:
            found = found.masked_fill(ignored.unsqueeze(axis), 0)
        return [-found.sum() / _norm(loss_param, _VALID, labels, ignored, axis) + wrong]


def _norm(p: LossParameter, default: int, labels: Tensor, ignored: Tensor | None, axis: int) -> Tensor | float:
    """Return the number that a sum over labels is divided by: the GetNormalizer of Caffe's losses.

    Parameters
    ----------
    p, default
        Its normalization; `default` if it sets none.
    ignored
        Whether each label is ignored; None: none is.
    axis
        BATCH_SIZE counts the axes before this one.
    """
    how = p.normalization if p.HasField("normalization") else default
    if p.HasField("normalize") and not p.HasField("normalization"):
        how = _VALID if p.normalize else _BATCH_SIZE
    if how == _VALID and ignored is not None:
        return (labels.numel() - ignored.sum()).clamp(min=1)
    outer = labels.shape[:axis].numel()
    return max(1, {_FULL: labels.numel(), _VALID: labels.numel(), _BATCH_SIZE: outer, _NONE: 1}[how])


class SigmoidCrossEntropyLoss(Layer):
    """-sum(t log p + (1 - t) log(1 - p)) / norm, where p = sigmoid(x) and t are targets in [0, 1].

    The norm is one of SoftmaxWithLoss's, by default BATCH_SIZE. A target is ignored if its integer part is
    `ignore_label`.
    """

    bottoms = (2, 2)
    is_loss = True

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the loss, a scalar, of two blobs of equal size."""
        _require_alike(*bottoms)
        scores, targets, loss_param = bottoms[0], bottoms[1].detach().reshape(bottoms[0].shape), self.param.loss_param
        each = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        ignored = targets.long() == loss_param.ignore_label if loss_param.HasField("ignore_label") else None
        if ignored is not None:
            each = each.masked_fill(ignored, 0)
        return [each.sum() / _norm(loss_param, _BATCH_SIZE, targets, ignored, 1)]


class HingeLoss(Labelled):
    """sum max(0, 1 - s x)^n / N, where s is 1 for the label's score, -1 for the others; n is 1 or, for L2, 2."""

    is_loss = True

    def _axis_and_param(self) -> tuple[int, LossParameter]:
        return 1, LossParameter()

    def classes(self, shapes: Sequence[Shape]) -> Classes:
        """Return the labels that it accepts: one for each score of a row, whatever its shape."""
        return super().classes([(shapes[0][0], prod(shapes[0][1:]))])

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the loss, a scalar."""
        scores = bottoms[0].reshape(len(bottoms[0]), -1)
        labels, wrong = self.labels(scores, bottoms[1])
        signs = torch.ones_like(scores).scatter(1, labels.unsqueeze(1), -1)
        margins = functional.relu(1 + signs * scores)
        total = margins.square().sum() if self.param.hinge_loss_param.norm == _L2 else margins.sum()
        return [total / len(scores) + wrong]


class ContrastiveLoss(Layer):
    """sum(y d^2 + (1 - y) max(margin - d, 0)^2) / 2N, where d is the distance of two rows; y is 0, or a similar pair.

    The `legacy_version` has max(margin - d^2, 0) instead.
    """

    bottoms = (3, 3)
    is_loss = True

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the loss, a scalar, of two blobs N x C and N labels."""
        (first, second, labels), p = bottoms, self.param.contrastive_loss_param
        count = len(first)
        if first.shape != second.shape or first[0].numel() != first.shape[1:2].numel() or labels.numel() != count:
            shapes = ", ".join(str(tuple(bottom.shape)) for bottom in bottoms)
            raise EmotiwError(f"its bottoms are N x C, N x C and N, not {shapes}")
        square = (first - second).square().reshape(count, -1).sum(1)
        distance = square.detach() if p.legacy_version else square.detach().sqrt()
        gap = functional.relu(p.margin - distance)
        # Caffe's gradient of a dissimilar pair divides by d + 1e-4, so it is not the derivative of the loss.
        push = -(gap > 0).float() if p.legacy_version else -gap / (distance + 1e-4)
        similar = labels.detach().flatten().long() != 0
        loss = torch.where(similar, square.detach(), gap if p.legacy_version else gap.square())
        pull = torch.where(similar, 1, push) * square
        return [(loss + (pull - pull.detach())).sum() / (2 * count)]


class EuclideanLoss(Layer):
    """sum (a - b)^2 / 2N."""

    bottoms = (2, 2)
    is_loss = True

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the loss, a scalar, of two blobs of equal size."""
        first, second = bottoms
        _require_alike(first, second)
        return [(first.flatten() - second.flatten()).square().sum() / (2 * first.shape[0])]


def _require_alike(first: Tensor, second: Tensor) -> None:
    """Refuse two blobs of another number of rows, or of values."""
    if first.shape[0] != second.shape[0] or first.numel() != second.numel():
        raise EmotiwError(f"it compares blobs of one size, not {tuple(first.shape)} and {tuple(second.shape)}")
