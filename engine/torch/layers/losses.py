"""Softmax and the losses: Caffe's softmax_layer.cpp, softmax_loss_layer.cpp, euclidean_loss_layer.cpp."""

from math import log

from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import LossParameter

from .labelled import Labelled
from .layer import Layer, canonical

_LOG_FLT_MIN = log(1.1754943508222875e-38)  # smaller probabilities are clipped to FLT_MIN
_FULL, _VALID, _BATCH_SIZE, _NONE = range(4)


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
        return [-found.sum() / self._norm(labels, ignored, axis) + wrong]

    def _norm(self, labels: Tensor, ignored: Tensor | None, axis: int) -> Tensor | float:
        loss_param = self.param.loss_param
        how = loss_param.normalization
        if loss_param.HasField("normalize") and not loss_param.HasField("normalization"):
            how = _VALID if loss_param.normalize else _BATCH_SIZE
        if how == _VALID and ignored is not None:
            return (labels.numel() - ignored.sum()).clamp(min=1)
        outer = labels.shape[:axis].numel()
        return max(1, {_FULL: labels.numel(), _VALID: labels.numel(), _BATCH_SIZE: outer, _NONE: 1}[how])


class EuclideanLoss(Layer):
    """sum (a - b)^2 / 2N."""

    bottoms = (2, 2)
    is_loss = True

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the loss, a scalar, of two blobs of equal size."""
        first, second = bottoms
        if first.shape[0] != second.shape[0] or first.numel() != second.numel():
            raise EmotiwError(f"it compares blobs of one size, not {tuple(first.shape)} and {tuple(second.shape)}")
        return [(first.flatten() - second.flatten()).square().sum() / (2 * first.shape[0])]
