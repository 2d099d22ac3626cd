"""Local response normalisation: Caffe's lrn_layer.cpp."""

import math
from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter

from .layer import Layer

_WITHIN_CHANNEL = 1
_AT_ONCE = 2**20  # numbers: with what is computed of them, about the cache of a processor


class LRN(Layer):
    """x * (k + alpha / n * sum x^2) ^ -beta over n channels, or within a channel over n x n pixels; zero padded."""

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        if param.lrn_param.local_size % 2 == 0:
            raise EmotiwError(f"local_size is odd, not {param.lrn_param.local_size}")

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom, N x C x H x W."""
        p = self.param.lrn_param
        if bottoms[0].dim() != 4:
            raise EmotiwError(f"its bottom is N x C x H x W, not {tuple(bottoms[0].shape)}")
        if p.norm_region == _WITHIN_CHANNEL:  # Caffe ignores k here
            mean = functional.avg_pool2d(bottoms[0].square(), p.local_size, 1, p.local_size // 2)
            return [bottoms[0] * (1 + p.alpha * mean) ** -p.beta]
        return [self.across_channels(bottoms[0], p.local_size, p.alpha, p.beta, p.k)]

    def across_channels(self, x: Tensor, n: int, alpha: float, beta: float, k: float) -> Tensor:
        """Return x (k + alpha / n * sum x^2) ^ -beta, of x's shape."""
        return _AcrossChannels.apply(x, n, alpha, beta, k)  # type: ignore[no-untyped-call, no-any-return]


class CompiledLRN(LRN):
    """LRN whose formula across channels is compiled by `torch.compile`."""

    def across_channels(self, x: Tensor, n: int, alpha: float, beta: float, k: float) -> Tensor:
        """Return x (k + alpha / n * sum x^2) ^ -beta, of x's shape."""
        return _compiled()(x, n, alpha, beta, k)


@cache
def _compiled() -> Callable[[Tensor, int, float, float, float], Tensor]:
    """Return the compiled formula; not at import, because `torch.compile` imports much of torch.

    With `fullgraph`, more kinds of blobs than the compiler's cache holds are an error; without it they run uncompiled.
    """
    return torch.compile(_formula, fullgraph=True)


def _formula(x: Tensor, n: int, alpha: float, beta: float, k: float) -> Tensor:
    squares = functional.pad(x * x, (0, 0, 0, 0, n // 2, n // 2))
    total = sum(squares[:, first : first + x.shape[1]] for first in range(n))
    return x * (k + alpha / n * total) ** -beta


class _Kept(FunctionCtx):
    """What the forward pass saves for the backward pass."""

    saved_tensors: tuple[Tensor, ...]
    settings: tuple[int, float, float, float]


class _AcrossChannels(torch.autograd.Function):
    """y = x s^-beta with s = k + alpha / n * sum x^2.

    dx = dy s^-beta - 2 alpha beta / n * x * sum(dy y / s): 40 times as fast on a CPU as torch's own LRN, which pools
    in three dimensions. On a CPU the backward pass computes s again, part by part, instead of keeping two more blobs.
    """

    @staticmethod
    def forward(ctx: _Kept, x: Tensor, n: int, alpha: float, beta: float, k: float) -> Tensor:
        """Return y, of x's shape."""
        ctx.settings = n, alpha, beta, k
        y = torch.empty_like(x)
        scales: tuple[Tensor, ...] = ()
        for part, out in _parts(x, y):
            scales = _scales(part, *ctx.settings)
            torch.mul(part, scales[1], out=out)
        ctx.save_for_backward(x, *(scales if x.is_cuda else ()))
        return y

    @staticmethod
    def backward(ctx: _Kept, *dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return dx, and None for each setting."""
        x, *scales = ctx.saved_tensors
        n, alpha, beta, _ = ctx.settings
        dx = torch.empty_like(x)
        for part, given, out in _parts(x, dy[0], dx):
            s, factor = scales or _scales(part, *ctx.settings)
            torch.mul(given, factor, out=out)
            through_sum = _over_channels((out * part).div_(s), n)
            out.sub_(through_sum.mul_(part).mul_(2 * alpha * beta / n))
        return dx, None, None, None, None


def _parts(*blobs: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield some images at a time of blobs of the same shape: on a CPU as many as its cache holds, on a GPU all."""
    shape = blobs[0].shape
    images = max(1, _AT_ONCE // max(1, shape[1:].numel())) if blobs[0].device.type == "cpu" else max(1, shape[0])
    return zip(*(torch.split(blob, images) for blob in blobs), strict=True)


def _scales(x: Tensor, n: int, alpha: float, beta: float, k: float) -> tuple[Tensor, Tensor]:
    """Return s and s^-beta."""
    s = _over_channels(x * x, n).mul_(alpha / n).add_(k)
    return s, _power(s, beta)


def _over_channels(x: Tensor, n: int) -> Tensor:
    """Return for each channel the sum of the n channels around it, N x C x H x W; on a GPU in one pass over x."""
    n = min(n, 2 * x.shape[1] - 1)  # there are no more channels
    if x.is_cuda:
        planes = x.reshape(len(x), 1, x.shape[1], math.prod(x.shape[2:]))
        return functional.avg_pool2d(planes, (n, 1), 1, (n // 2, 0), divisor_override=1).view(x.shape)
    total = x.clone()
    for distance in range(1, n // 2 + 1):
        total[:, distance:] += x[:, :-distance]
        total[:, :-distance] += x[:, distance:]
    return total


def _power(s: Tensor, beta: float) -> Tensor:
    """Return s ^ -beta; for the usual beta, 0.75, by two square roots."""
    if beta != 0.75:
        return s.pow(-beta)
    root = s.rsqrt()
    return root * root.sqrt()
