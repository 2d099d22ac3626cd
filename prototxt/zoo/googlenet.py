"""GoogLeNet (Szegedy et al., CVPR 2015) like Caffe's bvlc_googlenet, with its layer names, so that weights copy."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from emotiw.prototxt.formats.messages import TEST
from emotiw.prototxt.net_spec import NetSpec, Top
from emotiw.prototxt.net_spec import layers as L
from emotiw.prototxt.net_spec import params as P

from .param_specs import ParamSpecs

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
_POOL_AFTER = {"3b": "pool3", "4e": "pool4"}
_HEAD_AFTER = {"4a": "loss1", "4d": "loss2"}  # the auxiliary heads
_NORM = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}


@dataclass(frozen=True)
class GoogLeNet:
    """The net, or a narrower one.

    Attributes
    ----------
    divisor
        The numbers of outputs of the published layers are divided by this.
    pool3_stride
        2 as published; with 1, maps of a smaller input do not shrink to nothing.
    pool5_size
        Side of the last maps in pixels, over which the last pooling averages.
    dropout
        Dropout ratio before the last classifier.
    head_dropout
        Dropout ratio before the auxiliary classifiers.
    """

    divisor: int = 1
    pool3_stride: int = 2
    pool5_size: int = 7
    dropout: float = 0.4
    head_dropout: float = 0.7

    def add(self, n: NetSpec, images: Top, specs: ParamSpecs, classes: int) -> None:
        """Add all layers after `images` to `n`; they are the same for both stages."""
        top = self._stem(n, images, specs)
        for name, outputs in INCEPTIONS.items():
            top = self._inception(n, specs, f"inception_{name}", top, outputs)
            if head := _HEAD_AFTER.get(name):
                self._auxiliary(n, specs, head, top, classes)
            if pool := _POOL_AFTER.get(name):
                stride = {"pool3": self.pool3_stride, "pool4": 2}[pool]
                n[f"{pool}/3x3_s{stride}"] = top = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=stride)
        self._last(n, specs, top, classes)

    def _convolution(self, n: NetSpec, specs: ParamSpecs, name: str, top: Top, outputs: int, **window: int) -> Top:
        """Add a convolution, `block/part`, and its ReLU, `block/relu_part`; return the ReLU's top."""
        relu = name.replace("/", "/relu_").removesuffix("_s2")  # sic: conv1/relu_7x7
        n[name] = L.Convolution(top, num_output=outputs // self.divisor, **window, **specs.of(name))
        n[relu] = top = L.ReLU(n[name], in_place=True)
        return top

    def _stem(self, n: NetSpec, images: Top, specs: ParamSpecs) -> Top:
        top: Top = self._convolution(n, specs, "conv1/7x7_s2", images, 64, kernel_size=7, stride=2, pad=3)
        n["pool1/3x3_s2"] = L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2)
        n["pool1/norm1"] = L.LRN(n["pool1/3x3_s2"], **_NORM)
        top = self._convolution(n, specs, "conv2/3x3_reduce", n["pool1/norm1"], 64, kernel_size=1)
        top = self._convolution(n, specs, "conv2/3x3", top, 192, kernel_size=3, pad=1)
        n["conv2/norm2"] = L.LRN(top, **_NORM)
        n["pool2/3x3_s2"] = top = L.Pooling(n["conv2/norm2"], pool=P.Pooling.MAX, kernel_size=3, stride=2)
        return top

    def _inception(self, n: NetSpec, specs: ParamSpecs, name: str, bottom: Top, outputs: Inception) -> Top:
        """Add four parallel branches; return the concatenation of their channels."""
        add = partial(self._convolution, n, specs)
        one, reduce3, three, reduce5, five, proj = outputs
        branches = [add(f"{name}/1x1", bottom, one, kernel_size=1)]
        top: Top = add(f"{name}/3x3_reduce", bottom, reduce3, kernel_size=1)
        branches.append(add(f"{name}/3x3", top, three, kernel_size=3, pad=1))
        top = add(f"{name}/5x5_reduce", bottom, reduce5, kernel_size=1)
        branches.append(add(f"{name}/5x5", top, five, kernel_size=5, pad=2))
        n[f"{name}/pool"] = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1)
        branches.append(add(f"{name}/pool_proj", n[f"{name}/pool"], proj, kernel_size=1))
        n[f"{name}/output"] = top = L.Concat(*branches)
        return top

    def _auxiliary(self, n: NetSpec, specs: ParamSpecs, head: str, bottom: Top, classes: int) -> None:
        """Add an auxiliary head; its loss has the weight 0.3."""
        n[f"{head}/ave_pool"] = L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=5, stride=3)
        top = self._convolution(n, specs, f"{head}/conv", n[f"{head}/ave_pool"], 128, kernel_size=1)
        n[f"{head}/fc"] = L.InnerProduct(top, num_output=1024 // self.divisor, **specs.of(f"{head}/fc"))
        n[f"{head}/relu_fc"] = top = L.ReLU(n[f"{head}/fc"], in_place=True)
        n[f"{head}/drop_fc"] = top = L.Dropout(top, dropout_ratio=self.head_dropout, in_place=True)
        classifier = f"{head}/classifier"
        n[classifier] = L.InnerProduct(top, num_output=classes, **specs.of(classifier))
        n[f"{head}/loss1"] = L.SoftmaxWithLoss(n[classifier], n.label, loss_weight=0.3, name=f"{head}/loss")
        n[f"{head}/top-1"] = L.Accuracy(n[classifier], n.label, include={"phase": TEST})

    def _last(self, n: NetSpec, specs: ParamSpecs, bottom: Top, classes: int) -> None:
        size = f"{self.pool5_size}x{self.pool5_size}_s1"
        n[f"pool5/{size}"] = top = L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=self.pool5_size, stride=1)
        n[f"pool5/drop_{size}"] = top = L.Dropout(top, dropout_ratio=self.dropout, in_place=True)
        n["loss3/classifier"] = L.InnerProduct(top, num_output=classes, **specs.of("loss3/classifier"))
        n["loss3/loss3"] = L.SoftmaxWithLoss(n["loss3/classifier"], n.label)
        n["loss3/top-1"] = L.Accuracy(n["loss3/classifier"], n.label, include={"phase": TEST})
