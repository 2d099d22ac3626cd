"""Arithmetic of blobs: Eltwise, Reduction, Scale, Bias."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import BiasParameter, FillerParameter, ScaleParameter

from .layer import Layer, Learned, Shape, canonical

_PROD, _SUM, _MAX = range(3)


class Eltwise(Layer):
    """The element-wise product, sum with coefficients, or maximum of the bottoms."""

    bottoms = (2, None)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottoms."""
        p = self.param.eltwise_param
        if len({bottom.shape for bottom in bottoms}) > 1:
            raise EmotiwError(f"its bottoms are of several shapes: {', '.join(str(tuple(b.shape)) for b in bottoms)}")
        if len(p.coeff) not in (0, len(bottoms)) or (p.coeff and p.operation != _SUM):
            raise EmotiwError(f"coeff is given for every bottom of a SUM, not {len(p.coeff)} times")
        if p.operation == _PROD:
            return [reduce(torch.mul, bottoms)]
        if p.operation == _SUM:
            return [reduce(torch.add, map(torch.mul, bottoms, p.coeff) if p.coeff else bottoms)]
        return [_maximum(bottoms)]


def _maximum(bottoms: Sequence[Tensor]) -> Tensor:
    """Return the maximum; at ties the gradient goes to the second of the first two bottoms, else to the earlier."""
    first, second, *others = bottoms
    top = torch.where(first > second, first, second)
    for other in others:
        top = torch.where(other > top, other, top)
    return top


_REDUCTIONS: Mapping[int, Callable[[Tensor], Tensor]] = {
    1: lambda rows: rows.sum(-1),
    2: lambda rows: rows.abs().sum(-1),
    3: lambda rows: rows.square().sum(-1),
    4: lambda rows: rows.mean(-1),
}


class Reduction(Layer):
    """`coeff` times the sum, the sum of absolute values or of squares, or the mean, over all axes from `axis` on."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return a blob with the axes before `axis`."""
        p = self.param.reduction_param
        return [p.coeff * _REDUCTIONS[p.operation](bottoms[0].flatten(canonical(p.axis, bottoms[0].dim())))]


class Scale(Layer):
    """The first bottom times the second, or times learned factors, along `num_axes` axes from `axis` on."""

    bottoms = (1, 2)

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the factors if there is no second bottom, and the biases if there are any."""
        p = self.param.scale_param
        self._axis, shape = _along(p, shapes)
        filler = p.filler if p.HasField("filler") else FillerParameter(type="constant", value=1)
        factors = [] if len(shapes) > 1 else [Learned(shape, filler)]
        return factors + ([Learned(shape, p.bias_filler)] if p.bias_term else [])

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the first bottom."""
        factor, *bias = [*bottoms[1:], *self.weights(bottoms[0])]
        top = bottoms[0] * _from_axis(factor, self._axis, bottoms[0])
        return [top + _from_axis(bias[0], self._axis, bottoms[0]) if bias else top]


class Bias(Layer):
    """The first bottom plus the second, or plus learned biases, along `num_axes` axes from `axis` on."""

    bottoms = (1, 2)

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the biases if there is no second bottom."""
        self._axis, shape = _along(self.param.bias_param, shapes)
        return [] if len(shapes) > 1 else [Learned(shape, self.param.bias_param.filler)]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the first bottom."""
        (bias,) = [*bottoms[1:], *self.weights(bottoms[0])]
        return [bottoms[0] + _from_axis(bias, self._axis, bottoms[0])]


def _along(p: BiasParameter | ScaleParameter, shapes: Sequence[Shape]) -> tuple[int, Shape]:
    """Return the first axis, and the shape of the factors or biases that are broadcast from it on."""
    axis = 0 if p.axis == 0 or (len(shapes) > 1 and shapes[1] == ()) else canonical(p.axis, len(shapes[0]))
    last = len(shapes[0]) if p.num_axes == -1 else axis + p.num_axes
    shape = shapes[1] if len(shapes) > 1 else shapes[0][axis:last]
    if last > len(shapes[0]) or shapes[0][axis : axis + len(shape)] != shape:
        raise EmotiwError(f"{shape} is no part of {shapes[0]} from axis {axis} on")
    return axis, shape


def _from_axis(numbers: Tensor, axis: int, like: Tensor) -> Tensor:
    """Reshape numbers so that torch broadcasts them from `axis` on."""
    return numbers.view(*numbers.shape, *[1] * (like.dim() - axis - numbers.dim()))
