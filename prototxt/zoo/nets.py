"""The nets and their solvers as data.

`generate.py` makes the committed files from this table, and these are executed: edit a net here, generate, commit both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from emotiw.prototxt.net_spec import NetSpec, Top

from .googlenet import GoogLeNet
from .param_specs import ALIKE, CLASSIFIERS, LAST_FASTER, Fillers, ParamSpecs, Rates
from .vgg import vgg_m, vgg_s

STAGES = ("pretrain", "finetune")
EMOTIONS = 7
TEST_BATCH = 20  # the authors' fine-tuning net

# The same authors' age/gender solver; their emotion solvers were not found.  # Deviation D5
SOLVER: Mapping[str, object] = {
    "type": "SGD",
    "lr_policy": "step",
    "gamma": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "display": 20,
    "snapshot_prefix": "snapshot",
    "solver_mode": "CPU",  # `caffe train --gpu 0` overrides it
}


class Topology(Protocol):
    """An object that makes the layers of a net, such as `Vgg`."""

    def add(self, n: NetSpec, images: Top, specs: ParamSpecs, classes: int) -> None:
        """Add all layers after `images` to `n`, with their published names."""


@dataclass(frozen=True)
class Net:
    """A net and its training.

    Attributes
    ----------
    topology
        Its layers.
    fillers
        The initial values of its weights and biases.
    crop
        Side of the square input in pixels, cut from images of 8/7 that side (256 for 224).
    batch_size
        Images in an iteration, for each stage; `TEST_BATCH` in the TEST phase.
    solvers
        The settings of each stage's solver besides `SOLVER`.
    note
        The origin of the net, for the head of its files.
    preset
        The group of nets of one size: see `train.presets`.
    rates
        The layers' multiples of the solver's rate.
    input_scale
        The factor of the image, after subtraction of the mean, before the first layer.
    """

    topology: Topology
    fillers: Fillers
    crop: int
    batch_size: Mapping[str, int]
    solvers: Mapping[str, Mapping[str, object]]
    note: str
    preset: str
    rates: Rates
    input_scale: float = 1


# 30: the authors' fine-tuning net; all else: Deviation D5
_real = partial(
    Net,
    preset="paper",
    rates=LAST_FASTER,
    crop=224,
    batch_size={"pretrain": 50, "finetune": 30},
    solvers={
        "pretrain": {"base_lr": 0.01, "stepsize": 100000, "max_iter": 300000, "snapshot": 5000},
        "finetune": {"base_lr": 0.001, "stepsize": 10000, "max_iter": 50000, "snapshot": 500},
    },
)
_MEDIUM_SOLVER = {
    "base_lr": 0.01,
    "lr_policy": "multistep",
    "stepvalue": [3200, 4400],
    "max_iter": 4800,
    "snapshot": 400,
}
_medium = partial(
    Net,
    preset="medium",
    rates=ALIKE,
    crop=112,
    batch_size={"pretrain": 64, "finetune": 64},
    solvers={"pretrain": _MEDIUM_SOLVER, "finetune": _MEDIUM_SOLVER},
    input_scale=1 / 128,
)
_small = partial(
    Net,
    preset="small",
    rates=LAST_FASTER,
    crop=56,
    batch_size={"pretrain": 30, "finetune": 30},
    solvers={
        "pretrain": {"base_lr": 0.01, "stepsize": 300, "max_iter": 400, "snapshot": 200},
        "finetune": {"base_lr": 0.004, "stepsize": 240, "max_iter": 300, "snapshot": 150},
    },
)

# The authors' VGG_S; their VGG_M was not found and gets the same.  # Deviation D12
_VGG_FILLERS = Fillers(
    std={f"conv{k}": 0.01 for k in range(1, 6)} | {"fc6": 0.005, "fc7": 0.005, "fc8": 0.01},
    bias={"conv2": 1, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1},
)
_VGG_SMALL_FILLERS = Fillers(
    std={"conv1": 0.01, "fc8": 0.01},
    bias={"conv2": 0.1, "conv4": 0.1, "conv5": 0.1, "fc6": 0.1, "fc7": 0.1},
)
_MEDIUM_FILLERS = Fillers(std=dict.fromkeys(("fc8", *CLASSIFIERS), 0.01), other_weight="msra")
_VGG_FILTERS = (96, 256, 512, 512, 512)
_VGG_MEDIUM_FILTERS = (48, 128, 256, 256, 256)
_VGG_SMALL_FILTERS = (24, 64, 128, 128, 128)
_VGG_M_DROPOUT = {"pretrain": 0.5, "finetune": 0.7}  # Chatfield's; the released fine-tuning net's
_MEDIUM_DROPOUT = {"pretrain": 0.5, "finetune": 0.5}
_SMALL_DROPOUT = {"pretrain": 0.25, "finetune": 0.25}
_GOOGLENET_BIAS = dict.fromkeys(CLASSIFIERS, 0.0)
_MEDIUM_NOTE = (
    "Ours, for a CPU: the topology of {} with half the outputs and half the crop, other fillers and learning rates."
)
_SMALL_NOTE = (
    "Ours, for demos and tests: the topology of {}, narrow, with small crops and vgg_s_small's fillers and dropout."
)

# VGG_M and GoogLeNet: the authors did not publish their prototxts. These are the published nets with the fine-tuning
# rules of the released VGG_S.  # Deviation D12
# The small nets: Deviation D6
NETS: Mapping[str, Net] = {
    "vgg_s": _real(
        vgg_s(_VGG_FILTERS, (4048, 4048), {"pretrain": 0.7, "finetune": 0.7}),  # 4048, sic: not Chatfield's 4096
        _VGG_FILLERS,
        note="VGG_S as released by the authors (EmotiW_VGG_S): conv2 padded by 2, fc6 and fc7 of 4048, dropout 0.7.",
    ),
    "vgg_m_2048": _real(
        vgg_m(_VGG_FILTERS, (4096, 2048), _VGG_M_DROPOUT),
        _VGG_FILLERS,
        note="CNN_M-2048 of Chatfield et al., fine-tuned like the authors' VGG_S.",
    ),
    "vgg_m_4096": _real(
        vgg_m(_VGG_FILTERS, (4096, 4096), _VGG_M_DROPOUT),
        _VGG_FILLERS,
        note="CNN_M of Chatfield et al., fine-tuned like the authors' VGG_S.",
    ),
    "googlenet": _real(
        GoogLeNet(),
        Fillers(bias=_GOOGLENET_BIAS, other_bias=0.2),
        note="GoogLeNet as in Caffe's bvlc_googlenet, fine-tuned like the authors' VGG_S.",
    ),
    "vgg_s_medium": _medium(
        vgg_s(_VGG_MEDIUM_FILTERS, (1024, 1024), _MEDIUM_DROPOUT),
        _MEDIUM_FILLERS,
        note=_MEDIUM_NOTE.format("vgg_s"),
    ),
    "vgg_m_2048_medium": _medium(
        vgg_m(_VGG_MEDIUM_FILTERS, (1024, 512), _MEDIUM_DROPOUT, conv2_stride=1),
        _MEDIUM_FILLERS,
        note=_MEDIUM_NOTE.format("vgg_m_2048"),
    ),
    "vgg_m_4096_medium": _medium(
        vgg_m(_VGG_MEDIUM_FILTERS, (1024, 1024), _MEDIUM_DROPOUT, conv2_stride=1),
        _MEDIUM_FILLERS,
        note=_MEDIUM_NOTE.format("vgg_m_4096"),
    ),
    "googlenet_medium": _medium(
        GoogLeNet(divisor=2, pool3_stride=1, pool5_size=6),
        _MEDIUM_FILLERS,
        note=_MEDIUM_NOTE.format("googlenet"),
    ),
    "vgg_s_small": _small(
        vgg_s(_VGG_SMALL_FILTERS, (256, 256), _SMALL_DROPOUT),
        _VGG_SMALL_FILLERS,
        note="Ours, for demos and tests: the topology of vgg_s, narrow, with small crops. Fillers are xavier except in "
        "the first and last layers, and dropout is lower: with those of vgg_s, its loss stays at the prior.",
    ),
    "vgg_m_2048_small": _small(
        vgg_m(_VGG_SMALL_FILTERS, (256, 128), _SMALL_DROPOUT, conv2_stride=1),
        _VGG_SMALL_FILLERS,
        note=_SMALL_NOTE.format("vgg_m_2048"),
    ),
    "vgg_m_4096_small": _small(
        vgg_m(_VGG_SMALL_FILTERS, (256, 256), _SMALL_DROPOUT, conv2_stride=1),
        _VGG_SMALL_FILLERS,
        note=_SMALL_NOTE.format("vgg_m_4096"),
    ),
    "googlenet_small": _small(
        GoogLeNet(divisor=8, pool3_stride=1, pool5_size=2, dropout=0.25, head_dropout=0.25),
        Fillers(
            std=dict.fromkeys(("conv1/7x7_s2", *CLASSIFIERS), 0.01),
            bias=_GOOGLENET_BIAS | {"conv1/7x7_s2": 0},
            other_bias=0.1,
        ),
        note=_SMALL_NOTE.format("googlenet"),
    ),
}
"""The nets of the paper, and medium and small ones of the same topologies, by name."""
