"""Adapt a net's committed prototxt to a run: data set, number of classes, deploy form."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from emotiw.errors import EmotiwError, UsageError

from .formats.descriptors import enum_name
from .formats.layer_parameters import TransformationParameter
from .formats.messages import TRAIN, LayerParameter, NetParameter, SolverParameter, parse_text
from .message_diff import changes


def committed(net: str, file: str) -> Any:  # a SolverParameter or a NetParameter, by the file's name
    """Return the message in the committed `file` of `net`, such as ``("vgg_s", "solver_finetune.prototxt")``."""
    path = resources.files(__package__) / net / file
    if not net.isidentifier() or not path.is_file():
        raise UsageError(f"there is no net {net!r}: name one of {', '.join(nets())}")
    kind = SolverParameter if file.startswith("solver") else NetParameter
    return parse_text(path.read_text(encoding="utf-8"), kind, f"{net}/{file}")


@cache
def nets() -> tuple[str, ...]:
    """Return the names of the committed nets."""
    folders = resources.files(__package__).iterdir()
    return tuple(sorted(entry.name for entry in folders if (entry / "deploy.prototxt").is_file()))


def data_layers(train_val: NetParameter) -> list[LayerParameter]:
    """Return the layers that read a set, the TRAIN phase's first: one per phase, or one for both."""
    found = [layer for layer in train_val.layer if layer.type == "Data"]
    return sorted(found, key=lambda layer: [rule.phase for rule in layer.include])


def crop_size(train_val: NetParameter) -> int:
    """Return the side of the input in pixels."""
    return data_layers(train_val)[0].transform_param.crop_size


def batch_size(train_val: NetParameter) -> int:
    """Return the number of images in a pass of the TRAIN phase."""
    return data_layers(train_val)[0].data_param.batch_size


def input_transform(train_val: NetParameter, where: str | Path) -> TransformationParameter:
    """Return the transformation of a net's input images, which must be the same in both phases.

    Raises
    ------
    EmotiwError
        If the phases differ, or the transformation is not possible for colour images.
    """
    layers = data_layers(train_val)
    if not layers:
        raise EmotiwError(f"{where} has no Data layer: how its input was transformed in training is unknown")
    first, *others = (layer.transform_param for layer in layers)
    for other in others:
        if unlike := changes(first, other, ignored=("mirror", "mean_file")):
            raise EmotiwError(
                f"{where}: its Data layers differ in transform_param ({'; '.join(unlike)}): make them equal"
            )
        if bool(first.mean_file) != bool(other.mean_file):
            raise EmotiwError(f"{where}: one of its Data layers has a mean_file and the other none: make them equal")
    if first.force_gray:
        raise EmotiwError(
            f"{where}: transform_param has force_gray, but the images of a set are in colour: leave it out"
        )
    if first.mean_file and first.mean_value:
        raise EmotiwError(f"{where}: transform_param has a mean_file and mean_values: give only one of them")
    if len(first.mean_value) not in (0, 1, 3):
        raise EmotiwError(
            f"{where}: transform_param has {len(first.mean_value)} mean_values: give one, or B, G and R's"
        )
    return first


def set_size(train_val: NetParameter) -> int:
    """Return the side of a set's images for this net."""
    return uncropped(crop_size(train_val))


def uncropped(crop: int) -> int:
    """Return the side of the images from which crops are cut: 8/7 of the crop's, as 256 is of 224."""
    return crop * 8 // 7


def input_side(deploy: NetParameter, where: str | Path) -> int:
    """Return the side of a deploy net's input in pixels; raise if its input is not an image."""
    dims = [list(shape.dim) for layer in deploy.layer if layer.type == "Input" for shape in layer.input_param.shape]
    if len(dims) != 1 or len(dims[0]) != 4 or dims[0][1] != 3 or dims[0][2] != dims[0][3] or dims[0][2] < 1:
        raise EmotiwError(f"{where} is not a deploy net for images: it needs one input of N x 3 x side x side")
    return dims[0][2]


def use_set(train_val: NetParameter, sources: Mapping[str, str], mean_file: str) -> None:
    """Point the data layers at the LMDBs ``{"TRAIN": path, "TEST": path}`` and at their mean."""
    for layer in data_layers(train_val):
        phase = enum_name(layer.include[0], "phase") if layer.include else "TRAIN"
        layer.data_param.source = sources[phase]
        if layer.transform_param.mean_file:  # a user's net may have mean_values, or no mean
            layer.transform_param.mean_file = mean_file


def classifiers(train_val: NetParameter) -> set[str]:
    """Return the names of the fully connected layers that feed a loss: GoogLeNet has three."""
    scored = {layer.bottom[0] for layer in losses(train_val)}
    return {layer.name for layer in train_val.layer if layer.type == "InnerProduct" and layer.top[0] in scored}


def use_classes(train_val: NetParameter, classes: int) -> None:
    """Make every classifier `classes` wide."""
    last = classifiers(train_val)
    for layer in train_val.layer:
        if layer.name in last:
            layer.inner_product_param.num_output = classes


def rename_layers(train_val: NetParameter, layers: Collection[str]) -> None:
    """Append `_new` to the names of `layers`, so that Caffe's copy of weights by name skips them."""
    for layer in train_val.layer:
        if layer.name in layers:
            layer.name += "_new"


def loss_weight(train_val: NetParameter) -> float:
    """Return the ratio of Caffe's displayed loss to one head's when all heads guess: 1, for GoogLeNet 1.6."""
    return sum((layer.loss_weight[0] if layer.loss_weight else 1.0) for layer in losses(train_val))


def losses(train_val: NetParameter) -> list[LayerParameter]:
    """Return the loss layers: GoogLeNet has three, the auxiliary heads' first."""
    return [layer for layer in train_val.layer if layer.type == "SoftmaxWithLoss"]


def deploy(train_val: NetParameter) -> NetParameter:
    """Return the deploy form of a train_val: input `data`, output `prob`, nothing that only training needs."""
    crop = crop_size(train_val)
    loss = losses(train_val)[-1]  # those before it are auxiliary heads'
    layers = [LayerParameter(name="prob", type="Softmax", bottom=[loss.bottom[0]], top=["prob"])]
    needed = {loss.bottom[0]}
    for layer in reversed(train_val.layer):
        if layer.type != "Data" and not trains_only(layer) and needed.intersection(layer.top):
            needed.update(layer.bottom)
            layers.append(_without_training(layer))
    shape = {"dim": [1, 3, crop, crop]}
    layers.append(LayerParameter(name="data", type="Input", top=["data"], input_param={"shape": [shape]}))
    return NetParameter(name=train_val.name, layer=layers[::-1])


def trains_only(layer: LayerParameter) -> bool:
    """Return whether a layer is for the TRAIN phase only."""
    return any(rule.HasField("phase") and rule.phase == TRAIN for rule in layer.include)


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
