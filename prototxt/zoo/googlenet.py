"""GoogLeNet (Szegedy et al., CVPR 2015) as Caffe's bvlc_googlenet: layers named as there, so that weights copy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .layers import accuracy, concat, convolution, dropout, in_place, inner_product, loss, lrn, pool

# Outputs of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
Inception = tuple[int, int, int, int, int, int]

INCEPTIONS: Mapping[str, Inception] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
CLASSIFIERS = ("loss1/classifier", "loss2/classifier", "loss3/classifier")
_POOL_AFTER = {"3b": "pool3", "4e": "pool4"}
_HEAD_AFTER = {"4a": "loss1", "4d": "loss2"}  # the auxiliary heads


@dataclass(frozen=True)
class GoogLeNet:
    """The net, or a narrower one.

    Attributes
    ----------
    divisor
        By which the published layers' outputs are divided.
    pool3_stride
        2 as published; 1 keeps a smaller input's maps from vanishing.
    pool5_size
        Side of the last maps, over which the last pooling averages.
    dropout
        Ratio before the last classifier.
    head_dropout
        Ratio before the auxiliary classifiers.
    """

    divisor: int = 1
    pool3_stride: int = 2
    pool5_size: int = 7
    dropout: float = 0.4
    head_dropout: float = 0.7

    def layers(self, stage: str, classes: int) -> list[Any]:
        """Return everything behind the data layers; both stages alike."""
        layers, blob = self._stem(), "pool2/3x3_s2"
        for name, outputs in INCEPTIONS.items():
            layers += self._inception(f"inception_{name}", blob, outputs)
            blob = f"inception_{name}/output"
            if head := _HEAD_AFTER.get(name):
                layers += self._auxiliary(head, blob, classes)
            if name in _POOL_AFTER:
                stride = {"pool3": self.pool3_stride, "pool4": 2}[_POOL_AFTER[name]]
                layers.append(pool(f"{_POOL_AFTER[name]}/3x3_s{stride}", blob, "MAX", 3, stride))
                blob = layers[-1].top[0]
        return layers + self._last(blob, classes)

    def _stem(self) -> list[Any]:
        return [
            *convolution("conv1/7x7_s2", "conv1/relu_7x7", "data", 64 // self.divisor, 7, stride=2, pad=3),
            pool("pool1/3x3_s2", "conv1/7x7_s2", "MAX", 3, 2),
            lrn("pool1/norm1", "pool1/3x3_s2", 0.0001),
            *convolution("conv2/3x3_reduce", "conv2/relu_3x3_reduce", "pool1/norm1", 64 // self.divisor, 1),
            *convolution("conv2/3x3", "conv2/relu_3x3", "conv2/3x3_reduce", 192 // self.divisor, 3, pad=1),
            lrn("conv2/norm2", "conv2/3x3", 0.0001),
            pool("pool2/3x3_s2", "conv2/norm2", "MAX", 3, 2),
        ]

    def _inception(self, name: str, bottom: str, outputs: Inception) -> list[Any]:
        """Return four branches side by side, and their channels joined."""

        def branch(part: str, bottom: str, num_output: int, kernel_size: int, **pad: int) -> list[Any]:
            width = num_output // self.divisor
            return convolution(f"{name}/{part}", f"{name}/relu_{part}", bottom, width, kernel_size, **pad)

        one, reduce3, three, reduce5, five, proj = outputs
        return [
            *branch("1x1", bottom, one, 1),
            *branch("3x3_reduce", bottom, reduce3, 1),
            *branch("3x3", f"{name}/3x3_reduce", three, 3, pad=1),
            *branch("5x5_reduce", bottom, reduce5, 1),
            *branch("5x5", f"{name}/5x5_reduce", five, 5, pad=2),
            pool(f"{name}/pool", bottom, "MAX", 3, 1, pad=1),
            *branch("pool_proj", f"{name}/pool", proj, 1),
            concat(f"{name}/output", [f"{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")]),
        ]

    def _auxiliary(self, head: str, bottom: str, classes: int) -> list[Any]:
        """Return a head that helps to train: its loss counts 0.3."""
        return [
            pool(f"{head}/ave_pool", bottom, "AVE", 5, 3),
            *convolution(f"{head}/conv", f"{head}/relu_conv", f"{head}/ave_pool", 128 // self.divisor, 1),
            inner_product(f"{head}/fc", f"{head}/conv", 1024 // self.divisor),
            in_place("ReLU", f"{head}/relu_fc", f"{head}/fc"),
            dropout(f"{head}/drop_fc", f"{head}/fc", self.head_dropout),
            inner_product(f"{head}/classifier", f"{head}/fc", classes),
            loss(f"{head}/loss", f"{head}/loss1", f"{head}/classifier", loss_weight=[0.3]),
            accuracy(f"{head}/top-1", f"{head}/classifier"),
        ]

    def _last(self, bottom: str, classes: int) -> list[Any]:
        size = f"{self.pool5_size}x{self.pool5_size}_s1"
        return [
            pool(f"pool5/{size}", bottom, "AVE", self.pool5_size, 1),
            dropout(f"pool5/drop_{size}", f"pool5/{size}", self.dropout),
            inner_product("loss3/classifier", f"pool5/{size}", classes),
            loss("loss3/loss3", "loss3/loss3", "loss3/classifier"),
            accuracy("loss3/top-1", "loss3/classifier"),
        ]
