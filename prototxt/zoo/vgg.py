"""The nets of Chatfield et al., "Return of the Devil in the Details" (BMVC 2014): CNN_S and CNN_M.

Five convolutions, three fully connected layers; the authors call them VGG_S and VGG_M.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .layers import accuracy, convolution, dropout, in_place, inner_product, loss, lrn, pool


@dataclass(frozen=True)
class Block:
    """A convolution with its ReLU, and what follows it.

    Attributes
    ----------
    num_output, kernel_size
        Of the convolution.
    geometry
        Its stride and pad where they are not 1 and 0.
    norm
        Whether a normalisation across channels follows.
    pool
        Kernel size and stride of the MAX pooling that follows; None: there is none.
    """

    num_output: int
    kernel_size: int
    geometry: Mapping[str, int]
    norm: bool = False
    pool: tuple[int, int] | None = None


@dataclass(frozen=True)
class Vgg:
    """A net of this family.

    Attributes
    ----------
    blocks
        conv1 ... conv5.
    widths
        Outputs of fc6 and fc7.
    dropout
        Ratio after fc6 and fc7, for each stage.
    norm
        The normalisation's `k` where it is not Caffe's 1.
    """

    blocks: tuple[Block, ...]
    widths: tuple[int, int]
    dropout: Mapping[str, float]
    norm: Mapping[str, float]

    def layers(self, stage: str, classes: int) -> list[Any]:
        """Return everything behind the data layers."""
        layers: list[Any] = []
        blob = "data"
        for k, block in enumerate(self.blocks, start=1):
            added = self._block(k, block, blob)
            layers, blob = layers + added, added[-1].top[0]
        for k, width in enumerate(self.widths, start=6):
            name = f"fc{k}"
            layers += [
                inner_product(name, blob, width),
                in_place("ReLU", f"relu{k}", name),
                dropout(f"drop{k}", name, self.dropout[stage]),
            ]
            blob = name
        return [*layers, inner_product("fc8", blob, classes), accuracy("accuracy", "fc8"), loss("loss", "loss", "fc8")]

    def _block(self, k: int, block: Block, bottom: str) -> list[Any]:
        """Return block k: convolution, ReLU, normalisation, pooling."""
        name = f"conv{k}"
        layers = convolution(name, f"relu{k}", bottom, block.num_output, block.kernel_size, **block.geometry)
        if block.norm:
            layers.append(lrn(f"norm{k}", name, 0.0005, **self.norm))
        if block.pool:
            layers.append(pool(f"pool{k}", layers[-1].top[0], "MAX", *block.pool))
        return layers


def vgg_s(filters: tuple[int, int, int, int, int], widths: tuple[int, int], dropout: Mapping[str, float]) -> Vgg:
    """Return CNN_S as the authors released it: conv2 padded by 2 and not normalised, k = 1."""
    blocks = (
        Block(filters[0], 7, {"stride": 2}, norm=True, pool=(3, 3)),
        Block(filters[1], 5, {"pad": 2}, pool=(2, 2)),
        Block(filters[2], 3, {"pad": 1}),
        Block(filters[3], 3, {"pad": 1}),
        Block(filters[4], 3, {"pad": 1}, pool=(3, 3)),
    )
    return Vgg(blocks, widths, dropout, norm={})


def vgg_m(
    filters: tuple[int, int, int, int, int],
    widths: tuple[int, int],
    dropout: Mapping[str, float],
    conv2_stride: int = 2,
) -> Vgg:
    """Return CNN_M as published; a smaller stride of conv2 keeps a smaller input's maps from vanishing."""
    blocks = (
        Block(filters[0], 7, {"stride": 2}, norm=True, pool=(3, 2)),
        Block(filters[1], 5, {"stride": conv2_stride, "pad": 1}, norm=True, pool=(3, 2)),
        Block(filters[2], 3, {"pad": 1}),
        Block(filters[3], 3, {"pad": 1}),
        Block(filters[4], 3, {"pad": 1}, pool=(3, 2)),
    )
    return Vgg(blocks, widths, dropout, norm={"k": 2})
