"""The nets and their solvers as data, and the generator of the files committed beside this one.

``python -m emotiw.prototxt.nets FOLDER`` writes, a folder a net, train_val and solver of both stages, and deploy.

What runs is the files, not this module: edit a net here, generate, commit both.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotiw.files import write_text

from .execution import deploy
from .messages import LayerParameter, NetParameter, SolverParameter, format_text

STAGES = ("pretrain", "finetune")
EMOTIONS = 7

# The last layer is named anew when fine-tuning, so that Caffe's copy by name leaves the identities' layer behind.
LAST_LAYER = {"pretrain": "fc8", "finetune": "fc8_cat"}

# (weight, bias) multipliers of base_lr; the authors' fine-tuning net speeds its last two layers up.
# How they pre-trained is not known: as usual, all layers alike.  # Deviation D9
LR_MULT = {"pretrain": {}, "finetune": {"fc7": (9, 18), "fc8_cat": (12, 24)}}

# The same authors' age/gender solver; their emotion solvers were never published.  # Deviation D5
SOLVER: Mapping[str, Any] = {
    "type": "SGD",
    "lr_policy": "step",
    "gamma": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "display": 20,
    "snapshot_prefix": "snapshot",
    "solver_mode": "CPU",  # `caffe train --gpu 0` overrides it
}


@dataclass(frozen=True)
class Net:
    """A net of the VGG_S topology: five convolutions, three fully connected layers.

    Attributes
    ----------
    filters
        Outputs of conv1 ... conv5.
    width
        Outputs of fc6 and fc7.
    crop
        Side of the square input in pixels, cut from a set of 8/7 that side (256 for 224).
    weight_std
        Standard deviation of the Gaussian weight filler, a layer each; a layer not named is filled by `xavier`.
    bias
        Value of the bias filler, a layer each; 0 where not named.
    batch_size
        Images an iteration, for each stage; 20 in the TEST phase.
    solvers
        What the solver of each stage adds to `SOLVER`.
    note
        Where the net comes from, for the head of its files.
    dropout
        Ratio of fc6 and fc7.
    """

    filters: tuple[int, int, int, int, int]
    width: int
    crop: int
    batch_size: Mapping[str, int]
    solvers: Mapping[str, Mapping[str, Any]]
    note: str
    dropout: float = 0.7
    weight_std: Mapping[str, float] = field(default_factory=dict)
    bias: Mapping[str, float] = field(default_factory=dict)


NETS: Mapping[str, Net] = {
    "vgg_s": Net(
        filters=(96, 256, 512, 512, 512),
        width=4048,  # sic: not Chatfield's 4096
        crop=224,
        batch_size={"pretrain": 50, "finetune": 30},  # 30: the authors' fine-tuning net; 50: Deviation D5
        solvers={
            "pretrain": {"base_lr": 0.01, "stepsize": 100000, "max_iter": 300000, "snapshot": 5000},
            "finetune": {"base_lr": 0.001, "stepsize": 10000, "max_iter": 50000, "snapshot": 500},
        },
        note="VGG_S as the authors released it (EmotiW_VGG_S): conv2 padded by 2, fc6 and fc7 of 4048, dropout 0.7.",
        weight_std={f"conv{k}": 0.01 for k in range(1, 6)} | {"fc6": 0.005, "fc7": 0.005, "fc8": 0.01, "fc8_cat": 0.01},
        bias={"conv2": 1, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1},
    ),
    "vgg_s_small": Net(
        filters=(24, 64, 128, 128, 128),
        width=256,
        crop=56,
        batch_size={"pretrain": 30, "finetune": 30},
        solvers={
            "pretrain": {"base_lr": 0.01, "stepsize": 300, "max_iter": 400, "snapshot": 200},
            "finetune": {"base_lr": 0.004, "stepsize": 240, "max_iter": 300, "snapshot": 150},
        },
        # Deviation D6
        note="Ours, for demos and tests: the topology of vgg_s, narrow and for small crops. Filled by xavier but for "
        "its ends, and dropping less: with vgg_s's own fillers and dropout it stays at the prior at this size.",
        dropout=0.25,
        bias={"conv2": 0.1, "conv4": 0.1, "conv5": 0.1, "fc6": 0.1, "fc7": 0.1},
        weight_std={"conv1": 0.01, "fc8": 0.01, "fc8_cat": 0.01},
    ),
}


def train_val(net: Net, name: str, stage: str) -> Any:
    """Return the NetParameter of the train_val of `net` for a stage, its data still unnamed."""
    layers = [_data(net, stage, phase) for phase in ("TRAIN", "TEST")]
    layers += _features(net, stage)
    last = LAST_LAYER[stage]
    layers += [
        _inner_product(net, stage, last, "fc7", "fc8", EMOTIONS),
        LayerParameter(
            name="accuracy", type="Accuracy", bottom=["fc8", "label"], top=["accuracy"], include=[_phase("TEST")]
        ),
        LayerParameter(name="loss", type="SoftmaxWithLoss", bottom=["fc8", "label"], top=["loss"]),
    ]
    return NetParameter(name=name, layer=layers)


def _features(net: Net, stage: str) -> list[Any]:
    """Return everything between the data and the last layer."""
    f = net.filters
    return [
        *_convolution(net, stage, 1, "data", f[0], kernel_size=7, stride=2),
        LayerParameter(
            name="norm1",
            type="LRN",
            bottom=["conv1"],
            top=["norm1"],
            lrn_param={"local_size": 5, "alpha": 0.0005, "beta": 0.75},
        ),
        _max_pool("pool1", "norm1", 3),
        *_convolution(net, stage, 2, "pool1", f[1], kernel_size=5, pad=2),
        _max_pool("pool2", "conv2", 2),
        *_convolution(net, stage, 3, "pool2", f[2], kernel_size=3, pad=1),
        *_convolution(net, stage, 4, "conv3", f[3], kernel_size=3, pad=1),
        *_convolution(net, stage, 5, "conv4", f[4], kernel_size=3, pad=1),
        _max_pool("pool5", "conv5", 3),
        *_fully_connected(net, stage, 6, "pool5"),
        *_fully_connected(net, stage, 7, "fc6"),
    ]


def _convolution(net: Net, stage: str, k: int, bottom: str, num_output: int, **geometry: int) -> list[Any]:
    name = f"conv{k}"
    window = {key: [value] for key, value in geometry.items()}
    parameters = {"num_output": num_output, **window, **_fillers(net, name)}
    layer = LayerParameter(name=name, type="Convolution", bottom=[bottom], top=[name], param=_rates(stage, name))
    layer.convolution_param.CopyFrom(type(layer.convolution_param)(**parameters))
    return [layer, LayerParameter(name=f"relu{k}", type="ReLU", bottom=[name], top=[name])]


def _fully_connected(net: Net, stage: str, k: int, bottom: str) -> list[Any]:
    name = f"fc{k}"
    return [
        _inner_product(net, stage, name, bottom, name, net.width),
        LayerParameter(name=f"relu{k}", type="ReLU", bottom=[name], top=[name]),
        LayerParameter(
            name=f"drop{k}", type="Dropout", bottom=[name], top=[name], dropout_param={"dropout_ratio": net.dropout}
        ),
    ]


def _inner_product(net: Net, stage: str, name: str, bottom: str, top: str, num_output: int) -> Any:
    parameters = {"num_output": num_output, **_fillers(net, name)}
    return LayerParameter(
        name=name,
        type="InnerProduct",
        bottom=[bottom],
        top=[top],
        param=_rates(stage, name),
        inner_product_param=parameters,
    )


def _max_pool(name: str, bottom: str, size: int) -> Any:
    window = {"pool": "MAX", "kernel_size": size, "stride": size}
    return LayerParameter(name=name, type="Pooling", bottom=[bottom], top=[name], pooling_param=window)


def _data(net: Net, stage: str, phase: str) -> Any:
    split, batch_size = {"TRAIN": ("train", net.batch_size[stage]), "TEST": ("val", 20)}[phase]
    return LayerParameter(
        name="data",
        type="Data",
        top=["data", "label"],
        include=[_phase(phase)],
        transform_param={"mirror": phase == "TRAIN", "crop_size": net.crop, "mean_file": "mean.binaryproto"},
        data_param={"source": f"{split}_lmdb", "batch_size": batch_size, "backend": "LMDB"},
    )


def _phase(phase: str) -> dict[str, str]:
    return {"phase": phase}


def _rates(stage: str, name: str) -> list[dict[str, float]]:
    weight, bias = LR_MULT[stage].get(name, (1, 2))
    return [{"lr_mult": weight, "decay_mult": 1}, {"lr_mult": bias, "decay_mult": 0}]


def _fillers(net: Net, name: str) -> dict[str, dict[str, Any]]:
    std = net.weight_std.get(name)
    weight = {"type": "xavier"} if std is None else {"type": "gaussian", "std": std}
    return {"weight_filler": weight, "bias_filler": {"type": "constant", "value": net.bias.get(name, 0)}}


def files(name: str) -> dict[str, str]:
    """Return the prototxt files of the net `name`: file name to text."""
    net = NETS[name]
    head = f"# {net.note}\n# Generated by `python -m emotiw.prototxt.nets`: edit nets.py instead.\n"
    messages = {f"train_val_{stage}.prototxt": train_val(net, name, stage) for stage in STAGES}
    messages["deploy.prototxt"] = deploy(messages["train_val_finetune.prototxt"])
    for stage in STAGES:
        settings = {"net": f"train_val_{stage}.prototxt", **SOLVER, **net.solvers[stage]}
        messages[f"solver_{stage}.prototxt"] = SolverParameter(**settings)
    return {file: head + format_text(message) for file, message in messages.items()}


if __name__ == "__main__":
    for _name in NETS:
        for _file, _text in files(_name).items():
            write_text(Path(sys.argv[1]) / _name / _file, _text)
