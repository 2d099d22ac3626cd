"""Pooling and SPP: Caffe's pooling_layer.cpp and spp_layer.cpp."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter
from emotiw.prototxt.shapes import pyramid

from .layer import Layer

Pair = tuple[int, int]


def maximum(image: Tensor, kernel: Pair, stride: Pair, pad: Pair, ceil_mode: bool) -> tuple[Tensor, Tensor]:
    """Return the maximum of each window and its index, h * W + w; of equal ones the first.

    Parameters
    ----------
    image
        N x C x H x W.
    kernel, stride, pad, ceil_mode
        As `torch.nn.functional.max_pool2d` takes them.
    """
    if image.device.type == "cpu":
        top, index = _OnCpu.apply(image, kernel, stride, pad, ceil_mode)  # type: ignore[no-untyped-call]
    else:
        top, index = functional.max_pool2d(image, kernel, stride, pad, ceil_mode=ceil_mode, return_indices=True)
    return top, index


class _Kept(FunctionCtx):
    """What the forward pass saves for the backward pass."""

    saved_tensors: tuple[Tensor, ...]
    image: tuple[torch.Size, torch.memory_format]
    window: tuple[Pair, Pair, Pair, Pair, bool]


class _OnCpu(torch.autograd.Function):
    """On a CPU torch finds maxima six times as fast with channels last; going back, channels first are as fast."""

    @staticmethod
    def forward(
        ctx: _Kept, image: Tensor, kernel: Pair, stride: Pair, pad: Pair, ceil_mode: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the maxima and their indices."""
        last = image.contiguous(memory_format=torch.channels_last)
        top, index = functional.max_pool2d(last, kernel, stride, pad, ceil_mode=ceil_mode, return_indices=True)
        layout = torch.contiguous_format if image.is_contiguous() else torch.channels_last
        top, index = (each.clone(memory_format=layout) for each in (top, index))
        ctx.save_for_backward(index)
        ctx.image = image.shape, layout
        ctx.mark_non_differentiable(index)
        ctx.window = (kernel, stride, pad, (1, 1), ceil_mode)
        return top, index

    @staticmethod
    def backward(ctx: _Kept, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the image's gradient, and None for each setting."""
        (index,), (shape, layout) = ctx.saved_tensors, ctx.image
        image = torch.empty(shape, dtype=gradients[0].dtype, memory_format=layout)  # its values are not read
        back = torch.ops.aten.max_pool2d_with_indices_backward(gradients[0], image, *ctx.window, index)
        return back, None, None, None, None


_LEAST = -3.4028234663852886e38  # -FLT_MAX, Caffe's initial maximum
_MAX, _AVE = 0, 1


class Pooling(Layer):
    """Maximum or mean of each window, clipped to the image; a second top of MAX has the indices of the maxima.

    The number of windows is rounded up (`round_mode: CEIL`) or down; with padding, a window that would begin after the
    image and the padding before it is left out. Of equal maxima the first counts. The divisor of AVE is the window's
    area clipped to the image and its padding.
    """

    tops = (1, 2)

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        p = param.pooling_param
        if p.pool not in (_MAX, _AVE):
            raise EmotiwError("STOCHASTIC pooling is not in this engine: use the real Caffe (--engine caffe)")
        if p.pool == _AVE and len(param.top) > 1:
            raise EmotiwError("only MAX has a second top, with the indices of its maxima")
        self._kernel, self._stride, self._pad = (self._pair(name) for name in ("kernel", "stride", "pad"))
        if p.global_pooling:
            if self._kernel != (0, 0) or self._stride != (1, 1) or self._pad != (0, 0):
                raise EmotiwError("global_pooling takes the whole image: no kernel, stride or pad beside it")
        elif min(self._kernel) < 1 or min(self._stride) < 1:
            raise EmotiwError("kernel_size and stride must be at least 1")
        elif any(pad >= kernel for pad, kernel in zip(self._pad, self._kernel, strict=True)):
            raise EmotiwError(f"a pad of {self._pad} is not smaller than the kernel, {self._kernel}")

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return N x C x ceil((H + 2 pad - kernel) / stride) + 1 x ...; indices are h * W + w, as float32."""
        image = bottoms[0]
        if image.dim() != 4:
            raise EmotiwError(f"its bottom is N x C x H x W, not {tuple(image.shape)}")
        height, width = image.shape[2:]
        kernel = (height, width) if self.param.pooling_param.global_pooling else self._kernel
        windows = [
            self._windows(side, k, axis) for axis, (side, k) in enumerate(zip((height, width), kernel, strict=True))
        ]
        if min(windows) < 1:
            raise EmotiwError(f"an image of {height} x {width} is smaller than the kernel, {kernel}")
        # How far the last window reaches beyond the image.
        beyond = [
            max(0, (out - 1) * s + k - pad - side)
            for out, s, k, pad, side in zip(windows, self._stride, kernel, self._pad, (height, width), strict=True)
        ]
        pad = (self._pad[1], beyond[1], self._pad[0], beyond[0])
        if self.param.pooling_param.pool == _AVE:
            return [self._mean(image, kernel, windows, pad)]
        return self._maximum(image, kernel, windows, pad)

    def _maximum(self, image: Tensor, kernel: Pair, windows: list[int], pad: tuple[int, ...]) -> list[Tensor]:
        """Pool by torch's own clipped windows if it has the same number of them; else pad the image first."""
        own = self._torch_has(image, kernel, windows)
        padded = image if own else functional.pad(image, pad, value=_LEAST)
        padding, ceil_mode = (self._pad, self.param.pooling_param.round_mode == 0) if own else ((0, 0), False)
        top, index = maximum(padded, kernel, self._stride, padding, ceil_mode)
        if len(self.param.top) == 1:
            return [top]
        if not own:
            row, column = index // padded.shape[3] - pad[2], index % padded.shape[3] - pad[0]
            index = row * image.shape[3] + column
        return [top, index.float()]

    def _mean(self, image: Tensor, kernel: Pair, windows: list[int], pad: tuple[int, ...]) -> Tensor:
        if self._torch_has(image, kernel, windows):
            ceil_mode = self.param.pooling_param.round_mode == 0
            return functional.avg_pool2d(image, kernel, self._stride, self._pad, ceil_mode)
        total = functional.avg_pool2d(functional.pad(image, pad), kernel, self._stride, divisor_override=1)
        heights, widths = (
            (torch.arange(out) * s - p).neg().add(side + p).clamp(max=k)
            for out, s, p, side, k in zip(windows, self._stride, self._pad, image.shape[2:], kernel, strict=True)
        )
        return total / torch.outer(heights, widths).to(total)

    def _torch_has(self, image: Tensor, kernel: Pair, windows: list[int]) -> bool:
        """Return whether torch's pooling has the same windows.

        Torch pads by at most half a kernel, and leaves out windows that begin after the image even without padding.
        """
        return all(
            2 * pad <= k and (out - 1) * s < side + pad
            for pad, k, out, s, side in zip(self._pad, kernel, windows, self._stride, image.shape[2:], strict=True)
        )

    def _windows(self, side: int, kernel: int, axis: int) -> int:
        stride, pad = self._stride[axis], self._pad[axis]
        room = side + 2 * pad - kernel
        out = (-(-room // stride) if self.param.pooling_param.round_mode == 0 else room // stride) + 1
        if any(self._pad) and (out - 1) * stride >= side + pad:
            out -= 1
        return out

    def _pair(self, name: str) -> Pair:
        """Return a setting for both axes, from one number or from `<name>_h` and `<name>_w`."""
        p = self.param.pooling_param
        one = "kernel_size" if name == "kernel" else name
        if p.HasField(f"{name}_h") or p.HasField(f"{name}_w"):
            if p.HasField(one):
                raise EmotiwError(f"{one}, or {name}_h and {name}_w, not both")
            return getattr(p, f"{name}_h"), getattr(p, f"{name}_w")
        return getattr(p, one), getattr(p, one)


class SPP(Layer):
    """Spatial pyramid pooling: pooled to 1, 2, 4, ... windows a side, each level flattened, then all concatenated.

    As in Caffe a pyramid of one level is not flattened.
    """

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return N x K, or N x C x 1 x 1 for one level."""
        image, p = bottoms[0], self.param.spp_param
        if image.dim() != 4 or not p.pyramid_height:
            raise EmotiwError(f"its bottom is N x C x H x W, its pyramid_height 1 or more: {tuple(image.shape)}")
        poolings = [
            Pooling(LayerParameter(type="Pooling", top=["level"], pooling_param=level))
            for level in pyramid(p, image.shape[2:])
        ]
        levels = [pooling(image)[0] for pooling in poolings]
        return levels if len(levels) == 1 else [torch.cat([level.flatten(1) for level in levels], 1)]
