"""Element-wise functions: ReLU, PReLU, ELU, Sigmoid, TanH, AbsVal, Exp, Log, Power, Dropout."""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor
from torch.nn import functional

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter

from .layer import Layer, Learned, Shape


class ReLU(Layer):
    """max(0, x) + negative_slope * min(0, x)."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        slope = self.param.relu_param.negative_slope
        return [functional.leaky_relu(bottoms[0], slope) if slope else functional.relu(bottoms[0])]


class PReLU(Layer):
    """max(0, x) + slope * min(0, x), with a learned slope for each channel, or one for all (`channel_shared`)."""

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the slopes, by default 0.25."""
        p, shape = self.param.prelu_param, shapes[0]
        if len(shape) < 2:
            raise EmotiwError(f"its bottom is N x C x ..., not {shape}")
        filler = p.filler if p.HasField("filler") else FillerParameter(type="constant", value=0.25)
        return [Learned(() if p.channel_shared else (shape[1],), filler)]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        (slopes,) = self.weights(bottoms[0])
        return [functional.prelu(bottoms[0], slopes.reshape(-1))]


class ELU(Layer):
    """x if it is positive, else alpha * (exp(x) - 1)."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        return [functional.elu(bottoms[0], self.param.elu_param.alpha)]


class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        return [torch.sigmoid(bottoms[0])]


class TanH(Layer):
    """tanh(x)."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        return [torch.tanh(bottoms[0])]


class AbsVal(Layer):
    """|x|."""

    in_place = False

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        return [bottoms[0].abs()]


class Exp(Layer):
    """base ^ (shift + scale * x); the base -1, the default, is e."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        p = self.param.exp_param
        rate = _log_of(p.base)
        return [torch.exp(rate * p.scale * bottoms[0] + rate * p.shift)]


class Log(Layer):
    """log(shift + scale * x) to a base; the base -1, the default, is e."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        p = self.param.log_param
        rate = _log_of(p.base)
        if not rate:
            raise EmotiwError("there is no logarithm to the base 1")
        return [torch.log(p.shift + p.scale * bottoms[0]) / rate]


def _log_of(base: float) -> float:
    """Return the natural logarithm of a base."""
    if base != -1 and base <= 0:
        raise EmotiwError(f"base is positive, or -1 for e, not {base}")
    return 1.0 if base == -1 else log(base)


class Power(Layer):
    """(shift + scale * x) ^ power."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        p = self.param.power_param
        return [(p.shift + p.scale * bottoms[0]) ** p.power]


class Dropout(Layer):
    """In TRAIN x * mask / (1 - dropout_ratio), the mask drawn by torch's global generator; in TEST x."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        return [functional.dropout(bottoms[0], self.param.dropout_param.dropout_ratio, training=self.param.phase == 0)]
