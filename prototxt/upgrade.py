"""Nets in Caffe's V1 format, the authors' among them, brought to today's: the rules of Caffe's upgrade_proto.cpp."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotiw.errors import EmotiwError

from .messages import LayerParameter, NetParameter, read_text

# Types whose name today is not the old one's words with capitals.
_TYPES: Mapping[str, str] = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
# What became of the three lists that say how each of a layer's blobs learns.
_LEARNING: Mapping[str, str] = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}


def read_net(path: Path) -> Any:
    """Return the NetParameter of a prototxt file, of V1 layers or of today's, as `upgrade` gives it."""
    return upgrade(read_text(path, NetParameter), str(path))


def upgrade(net: Any, where: str = "the net") -> Any:
    """Return a net in today's format: V1 layers as layers, named inputs as an Input layer.

    What is in today's format already stays as it is. Settings of a V1 data layer that are older than
    `transform_param` are not moved there.

    Parameters
    ----------
    net : NetParameter
        It is not changed.
    where
        What names it in the error.

    Raises
    ------
    EmotiwError
        Where it has layers of both formats, or inputs without a shape.
    """
    if net.layer and net.layers:
        raise EmotiwError(f"{where} has `layer` and `layers`, two formats in one: Caffe takes either")
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    for field in ("input", "input_dim", "input_shape", "layers", "layer"):
        upgraded.ClearField(field)
    upgraded.layer.extend(_inputs(net, where))
    upgraded.layer.extend([*net.layer, *map(_layer, net.layers)])
    return upgraded


def weighted(net: Any) -> dict[str, Any]:
    """Return the blobs of every layer that has any, by its name; the net may be of either format."""
    return {layer.name: layer.blobs for layer in (net.layer or net.layers) if layer.blobs}


def _inputs(net: Any, where: str) -> list[Any]:
    """UpgradeNetInput: one layer that has all of them."""
    dims = [list(shape.dim) for shape in net.input_shape] or [
        list(net.input_dim[first : first + 4]) for first in range(0, len(net.input_dim), 4)
    ]
    if len(dims) != len(net.input):
        raise EmotiwError(f"{where} has {len(net.input)} inputs and shapes for {len(dims)}")
    shapes = {"shape": [{"dim": dim} for dim in dims]}
    return [LayerParameter(name="input", type="Input", top=net.input, input_param=shapes)] if dims else []


def _layer(v1: Any) -> Any:
    """UpgradeV1LayerParameter."""
    changed = {"type", *_LEARNING}
    same = {
        field.name: value
        for field, value in v1.ListFields()
        if field.name in LayerParameter.DESCRIPTOR.fields_by_name and field.name not in changed
    }
    layer = LayerParameter(type=_type(v1), **same)
    for old, new in _LEARNING.items():
        for number, value in enumerate(getattr(v1, old)):
            _say_of_blob(layer, number, new, value)
    return layer


def _say_of_blob(layer: Any, number: int, field: str, value: Any) -> None:
    """Say of a layer's blob how it learns."""
    while len(layer.param) <= number:
        layer.param.add()
    setattr(layer.param[number], field, value)


def _type(v1: Any) -> str:
    kinds = v1.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number
    name = kinds[v1.type].name
    return _TYPES.get(name, "".join(word.capitalize() for word in name.split("_")))
