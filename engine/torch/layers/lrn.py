"""Local response normalisation: Caffe's lrn_layer.cpp."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError

from .layer import Layer


class LRN(Layer):
    """x * (k + alpha / n * sum x^2) ^ -beta over n channels, or within a channel over n x n pixels; zero padded."""

    def __init__(self, param: Any) -> None:
        super().__init__(param)
        if param.lrn_param.local_size % 2 == 0:
            raise EmotiwError(f"local_size is odd, not {param.lrn_param.local_size}")

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom, N x C x H x W."""
        p = self.param.lrn_param
        if p.norm_region == 1:  # WITHIN_CHANNEL: Caffe leaves k out of it
            mean = functional.avg_pool2d(bottoms[0].square(), p.local_size, 1, p.local_size // 2)
            return [bottoms[0] * (1 + p.alpha * mean) ** -p.beta]
        return [functional.local_response_norm(bottoms[0], p.local_size, p.alpha, p.beta, p.k)]
