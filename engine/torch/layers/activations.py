"""Element-wise functions: ReLU, Sigmoid, TanH, Power, Dropout."""

import torch
from torch import Tensor
from torch.nn import functional

from .layer import Layer


class ReLU(Layer):
    """max(0, x) + negative_slope * min(0, x)."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the shape of the bottom."""
        slope = self.param.relu_param.negative_slope
        return [functional.leaky_relu(bottoms[0], slope) if slope else functional.relu(bottoms[0])]


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
