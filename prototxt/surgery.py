"""From a net's committed prototxt to what is executed: the set, the classes, the deploy form."""

from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from emotiw.errors import EmotiwError, UsageError

from .formats.descriptors import enum_name
from .formats.messages import LayerParameter, NetParameter, SolverParameter, parse_text


def committed(net: str, file: str) -> Any:  # a SolverParameter or a NetParameter: the name of the file decides
    """Return the message in the committed `file` of `net`, such as ``("vgg_s", "solver_finetune.prototxt")``."""
    folder = resources.files(__package__)
    path = folder / net / file
    if not net.isidentifier() or not path.is_file():
        known = sorted(entry.name for entry in folder.iterdir() if (entry / file).is_file())
        raise UsageError(f"no net {net!r}: there are {', '.join(known)}")
    kind = SolverParameter if file.startswith("solver") else NetParameter
    return parse_text(path.read_text(encoding="utf-8"), kind, f"{net}/{file}")


def crop_size(train_val: NetParameter) -> int:
    """Return the side of the input in pixels."""
    return train_val.layer[0].transform_param.crop_size


def set_size(train_val: NetParameter) -> int:
    """Return the side of the images of a set for this net."""
    return uncropped(crop_size(train_val))


def uncropped(crop: int) -> int:
    """Return the side of the images that crops are cut from: 8/7 of the crop's, as 256 is of 224."""
    return crop * 8 // 7


def input_side(deploy: NetParameter, where: str | Path) -> int:
    """Return the side of a deploy net's input in pixels; raise where it has none that an image can be."""
    dims = [list(shape.dim) for layer in deploy.layer if layer.type == "Input" for shape in layer.input_param.shape]
    if len(dims) != 1 or len(dims[0]) != 4 or dims[0][1] != 3 or dims[0][2] != dims[0][3] or dims[0][2] < 1:
        raise EmotiwError(f"{where} is no deploy net for images: it needs one input of N x 3 x side x side")
    return dims[0][2]


def use_set(train_val: NetParameter, sources: Mapping[str, str], mean_file: str) -> None:
    """Point the data layers at the LMDBs ``{"TRAIN": path, "TEST": path}`` and at their mean."""
    for layer in train_val.layer:
        if layer.type == "Data":
            phase = enum_name(layer.include[0], "phase")
            layer.data_param.source = sources[phase]
            layer.transform_param.mean_file = mean_file


def classifiers(train_val: NetParameter) -> set[str]:
    """Return the names of the fully connected layers that feed a loss: GoogLeNet has three."""
    scored = {layer.bottom[0] for layer in _losses(train_val)}
    return {layer.name for layer in train_val.layer if layer.type == "InnerProduct" and layer.top[0] in scored}


def use_classes(train_val: NetParameter, classes: int) -> None:
    """Make every classifier `classes` wide."""
    last = classifiers(train_val)
    for layer in train_val.layer:
        if layer.name in last:
            layer.inner_product_param.num_output = classes


def name_anew(train_val: NetParameter, layers: Collection[str]) -> None:
    """Put `_new` behind the names of `layers`, so that Caffe's copy by name passes them over."""
    for layer in train_val.layer:
        if layer.name in layers:
            layer.name += "_new"


def loss_weight(train_val: NetParameter) -> float:
    """Return by how much the loss that Caffe displays exceeds one head's where all heads guess: 1, GoogLeNet's 1.6."""
    return sum((layer.loss_weight[0] if layer.loss_weight else 1.0) for layer in _losses(train_val))


def _losses(train_val: NetParameter) -> list[LayerParameter]:
    return [layer for layer in train_val.layer if layer.type == "SoftmaxWithLoss"]


def deploy(train_val: NetParameter) -> NetParameter:
    """Return the deploy form of a train_val: input `data`, output `prob`, nothing that only training needs."""
    crop = crop_size(train_val)
    loss = _losses(train_val)[-1]  # auxiliary heads come before it
    layers = [LayerParameter(name="prob", type="Softmax", bottom=[loss.bottom[0]], top=["prob"])]
    needed = {loss.bottom[0]}
    for layer in reversed(train_val.layer):
        if layer.type != "Data" and needed.intersection(layer.top):
            needed.update(layer.bottom)
            layers.append(_without_training(layer))
    shape = {"dim": [1, 3, crop, crop]}
    layers.append(LayerParameter(name="data", type="Input", top=["data"], input_param={"shape": [shape]}))
    return NetParameter(name=train_val.name, layer=layers[::-1])


def _without_training(layer: LayerParameter) -> LayerParameter:
    """Return a copy of a layer without rates and fillers."""
    copy = LayerParameter()
    copy.CopyFrom(layer)
    copy.ClearField("param")
    for parameters in (copy.convolution_param, copy.inner_product_param):
        if parameters.ListFields():
            parameters.ClearField("weight_filler")
            parameters.ClearField("bias_filler")
    return copy
