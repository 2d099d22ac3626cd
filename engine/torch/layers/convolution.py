"""Convolution and Deconvolution: Caffe's base_conv_layer.cpp."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError

from .layer import Layer, Learned, Shape, canonical

_CONVOLUTIONS: Mapping[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED: Mapping[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


class Convolution(Layer):
    """Cross-correlation; weights (N_out, C_in / group, kernel...), one bias per output; output sizes are rounded down.

    Several bottoms share the weights, each with its own top.
    """

    bottoms = (1, None)
    tops = (1, None)

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the weights, and the biases if there are any."""
        p, shape = self.param.convolution_param, shapes[0]
        if canonical(p.axis, len(shape)) != 1 or len(shape) - 2 not in _CONVOLUTIONS or set(shapes) != {shape}:
            raise EmotiwError(
                f"bottoms are N x C x 1 to 3 more axes, all of one shape, not {', '.join(map(str, shapes))}"
            )
        if not p.num_output or not p.group or shape[1] % p.group or p.num_output % p.group:
            raise EmotiwError(f"{shape[1]} channels to {p.num_output} outputs cannot be split into {p.group} groups")
        self._spatial = len(shape) - 2
        kernel = self._each("kernel_size", "kernel", 0)
        if min(kernel) < 1:
            raise EmotiwError("a kernel has at least 1 pixel")
        stride, dilation = self._each("stride", "stride", 1), self._each("dilation", None, 1)
        if min(stride) < 1 or min(dilation) < 1:
            raise EmotiwError("stride and dilation must be at least 1")
        self._geometry = {
            "stride": stride,
            "padding": self._each("pad", "pad", 0),
            "dilation": dilation,
            "groups": p.group,
        }
        bias = [Learned((p.num_output,), p.bias_filler)] if p.bias_term else []
        return [Learned((*self._channels(shape[1]), *kernel), p.weight_filler), *bias]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return N x N_out x ... for each bottom."""
        convolve = _CONVOLUTIONS[self._spatial]
        return [convolve(bottom, *self.weights(bottom), **self._geometry) for bottom in bottoms]

    def _channels(self, given: int) -> tuple[int, int]:
        p = self.param.convolution_param
        return p.num_output, given // p.group

    def _each(self, field: str, old: str | None, default: int) -> tuple[int, ...]:
        """Return a setting for each spatial axis, from the repeated field or from `<old>_h` and `<old>_w`."""
        p = self.param.convolution_param
        values = list(getattr(p, field))
        if old and (p.HasField(f"{old}_h") or p.HasField(f"{old}_w")):
            if values or self._spatial != 2:
                raise EmotiwError(f"{field} or {old}_h and {old}_w of two axes, not both")
            values = [getattr(p, f"{old}_h"), getattr(p, f"{old}_w")]
        values = values or [default]
        if len(values) not in (1, self._spatial):
            raise EmotiwError(f"{field} is given once, or once per axis, not {len(values)} times")
        return tuple(values * self._spatial if len(values) == 1 else values)


class Deconvolution(Convolution):
    """The transposed convolution; weights (C_in, N_out / group, kernel...)."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return N x N_out x ... for each bottom."""
        convolve = _TRANSPOSED[self._spatial]
        return [convolve(bottom, *self.weights(bottom), **self._geometry) for bottom in bottoms]

    def _channels(self, given: int) -> tuple[int, int]:
        p = self.param.convolution_param
        return given, p.num_output // p.group
