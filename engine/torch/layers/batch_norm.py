"""BatchNorm: Caffe's batch_norm_layer.cpp."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter
from emotiw.prototxt.formats.messages import TEST, LayerParameter, ParamSpec

from .layer import Layer, Learned, Shape


class BatchNorm(Layer):
    """(x - mean) / sqrt(variance + eps), for each channel.

    In TRAIN the statistics are the batch's, and each pass adds them to the blobs. In TEST, or with `use_global_stats`,
    they are the blobs': a sum of means and one of variances, each divided by the third blob, the sum of their weights.
    No gradient changes the blobs.
    """

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        _fix(param)

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the sums of means, of variances, and of weights."""
        if len(shapes[0]) < 2:
            raise EmotiwError(f"its bottom is N x C x ..., not {shapes[0]}")
        channels = shapes[0][1:2]
        return [Learned(shape, FillerParameter()) for shape in (channels, channels, (1,))]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        p, x = self.param.batch_norm_param, bottoms[0]
        if x.is_meta:
            return [x]
        means, variances, weight = (blob.detach() for blob in self.weights(x))
        if p.use_global_stats if p.HasField("use_global_stats") else self.param.phase == TEST:
            scale = torch.where(weight == 0, 0, 1 / weight)
            return [functional.batch_norm(x, means * scale, variances * scale, eps=p.eps)]
        mean, variance = torch.zeros_like(means), torch.zeros_like(variances)
        top = torch.batch_norm(x, None, None, mean, variance, True, 1, p.eps, torch.backends.cudnn.enabled)
        if x.numel() == len(mean):  # torch divides by n - 1, Caffe does so only where n is above 1
            variance = torch.zeros_like(variances)
        for total, new in ((means, mean), (variances, variance), (weight, torch.ones_like(weight))):
            total.mul_(p.moving_average_fraction).add_(new)
        return [top]


def _fix(param: LayerParameter) -> None:
    """Set an lr_mult of 0 for each blob; three ParamSpecs are changed, as UpgradeNetBatchNorm does, others refused."""
    if len(param.param) == 3:
        for spec in param.param:
            spec.lr_mult, spec.decay_mult = 0, 0
    if any(spec.lr_mult for spec in param.param):
        raise EmotiwError("its statistics are not learned: lr_mult is 0")
    param.param.extend(ParamSpec(lr_mult=0) for _ in range(3 - len(param.param)))
