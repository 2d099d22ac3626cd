"""The nets of Chatfield et al., "Return of the Devil in the Details" (BMVC 2014): CNN_S and CNN_M.

Five convolutions, three fully connected layers; the authors call them VGG_S and VGG_M.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from emotiw.prototxt.formats.messages import TEST
from emotiw.prototxt.net_spec import NetSpec, Top
from emotiw.prototxt.net_spec import layers as L
from emotiw.prototxt.net_spec import params as P

from .param_specs import ParamSpecs


@dataclass(frozen=True)
class Block:
    """A convolution with its ReLU, and the layers after it.

    Attributes
    ----------
    num_output, kernel_size
        Settings of the convolution.
    geometry
        Its stride and pad, if they are not 1 and 0.
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
        The normalisation's `k`, if it is not Caffe's 1.
    """

    blocks: tuple[Block, ...]
    widths: tuple[int, int]
    dropout: Mapping[str, float]
    norm: Mapping[str, float]

    def add(self, n: NetSpec, images: Top, specs: ParamSpecs, classes: int) -> None:
        """Add all layers after `images` to `n`."""
        top = images
        for k, block in enumerate(self.blocks, start=1):
            top = self._block(n, specs, k, block, top)
        for k, width in enumerate(self.widths, start=6):
            n[f"fc{k}"] = L.InnerProduct(top, num_output=width, **specs.of(f"fc{k}"))
            n[f"relu{k}"] = L.ReLU(n[f"fc{k}"], in_place=True)
            ratio = self.dropout[specs.stage]
            n[f"drop{k}"] = top = L.Dropout(n[f"relu{k}"], dropout_ratio=ratio, in_place=True)
        n.fc8 = L.InnerProduct(top, num_output=classes, **specs.of("fc8"))
        n.accuracy = L.Accuracy(n.fc8, n.label, include={"phase": TEST})
        n.loss = L.SoftmaxWithLoss(n.fc8, n.label)

    def _block(self, n: NetSpec, specs: ParamSpecs, k: int, block: Block, top: Top) -> Top:
        """Add block k: convolution, ReLU, normalisation, pooling; return its last top."""
        window = {"num_output": block.num_output, "kernel_size": block.kernel_size, **block.geometry}
        n[f"conv{k}"] = L.Convolution(top, **window, **specs.of(f"conv{k}"))
        n[f"relu{k}"] = top = L.ReLU(n[f"conv{k}"], in_place=True)
        if block.norm:
            n[f"norm{k}"] = top = L.LRN(top, local_size=5, alpha=0.0005, beta=0.75, **self.norm)
        if block.pool:
            kernel_size, stride = block.pool
            n[f"pool{k}"] = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride)
        return top


def vgg_s(filters: tuple[int, int, int, int, int], widths: tuple[int, int], dropout: Mapping[str, float]) -> Vgg:
    """Return CNN_S as released by the authors: conv2 padded by 2 and not normalised, k = 1."""
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
    """Return CNN_M as published; with `conv2_stride` 1, maps of a smaller input do not shrink to nothing."""
    blocks = (
        Block(filters[0], 7, {"stride": 2}, norm=True, pool=(3, 2)),
        Block(filters[1], 5, {"stride": conv2_stride, "pad": 1}, norm=True, pool=(3, 2)),
        Block(filters[2], 3, {"pad": 1}),
        Block(filters[3], 3, {"pad": 1}),
        Block(filters[4], 3, {"pad": 1}, pool=(3, 2)),
    )
    return Vgg(blocks, widths, dropout, norm={"k": 2})
