"""The precision in which a net computes: `float32`, `tf32` or `bf16`.

Weights, the solver's history, softmax, losses and LRN are float32 in each of them. The gradients of weights are stored
as float32, but with bf16 those of convolutions and inner products are rounded to 8 significant bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emotiw.errors import EmotiwError

from .layers.layer import Layer

_MULTIPLYING = frozenset({"Convolution", "Deconvolution", "InnerProduct"})
# These layers only copy values or average them: they keep the precision of their bottoms.
_PASSING = frozenset(
    {"ReLU", "Pooling", "SPP", "Dropout", "Concat", "Slice", "Split", "Crop", "Tile", "Flatten", "Reshape", "Silence"}
)
# By default torch lets convolutions on a GPU use TF32; a CPU's library can be set to reduced precision, too.
_BACKENDS: Any = torch.backends  # torch's own type hints are incomplete here
_SWITCHES = (_BACKENDS.cuda.matmul, _BACKENDS.cudnn.conv, _BACKENDS.mkldnn.matmul, _BACKENDS.mkldnn.conv)


@dataclass(frozen=True)
class Precision:
    """A precision.

    Attributes
    ----------
    name
        One of `engine.PRECISIONS`.
    float32
        How torch multiplies float32 values: "ieee", or "tf32", with 10 mantissa bits of each factor.
    multiplied
        The type of the inputs and outputs of convolutions and inner products, whose sums stay in float32; None:
        float32.
    """

    name: str
    float32: str = "ieee"
    multiplied: torch.dtype | None = None

    def check(self, device: torch.device) -> None:
        """Refuse a device that would silently compute in another precision."""
        if self.float32 == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0)):
            what = "a CPU" if device.type != "cuda" else torch.cuda.get_device_name(device)
            raise EmotiwError(f"{what} has no precision tf32, NVIDIA's GPUs since Ampere do: name float32 or bf16")

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Set torch's switches for this precision, for forward and backward passes; restore them afterwards."""
        before = [switch.fp32_precision for switch in _SWITCHES]
        try:
            for switch in _SWITCHES:
                switch.fp32_precision = self.float32
            yield
        finally:
            for switch, value in zip(_SWITCHES, before, strict=True):
                switch.fp32_precision = value

    def tops(self, layer: Layer, bottoms: Sequence[Tensor]) -> list[Tensor]:
        """Return a layer's tops, after casting its bottoms to the type that this layer uses."""
        if self.multiplied is None:
            tops: list[Tensor] = layer(*bottoms)
            return tops
        kind = layer.param.type
        if kind not in _PASSING | _MULTIPLYING:
            bottoms = [bottom.float() if bottom.is_floating_point() else bottom for bottom in bottoms]
        device = bottoms[0].device.type if bottoms else "cpu"
        with torch.autocast(device, self.multiplied) if kind in _MULTIPLYING else nullcontext():
            tops = layer(*bottoms)
        return tops


BY_NAME: Mapping[str, Precision] = {
    each.name: each
    for each in (Precision("float32"), Precision("tf32", float32="tf32"), Precision("bf16", multiplied=torch.bfloat16))
}


def precision_of(name: str, device: torch.device) -> Precision:
    """Return a precision by its name.

    Raises
    ------
    EmotiwError
        If there is none of that name, or the device does not support it.
    """
    if name not in BY_NAME:
        raise EmotiwError(f"no precision {name!r}: there are {', '.join(BY_NAME)}")
    BY_NAME[name].check(device)
    return BY_NAME[name]
