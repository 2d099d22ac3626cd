"""Upgrade nets from Caffe's older formats to the current one, as Caffe's upgrade_proto.cpp does.

The authors' nets are in V1 format.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from google.protobuf.message import Message

from emotiw.errors import EmotiwError

from .descriptors import POOL, enum_name
from .layer_parameters import TransformationParameter
from .messages import AnyBlob, AnyNet, LayerParameter, NetParameter, PackedV1Layer, V1LayerParameter, read_text
from .upgrade_v0 import V1_NAMES, is_v0, v1_layers

# Types whose current name is not the old one in CamelCase.
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
# The three V1 lists with a setting for each blob, and the ParamSpec fields that replaced them.
_LEARNING: Mapping[str, str] = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
# UpgradeNetDataTransformation: the data layers that had the fields of transform_param in their own message.
_TRANSFORMED: Mapping[str, str] = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
}
_TRANSFORMS = ("scale", "mean_file", "crop_size", "mirror")


def read_net(path: Path) -> NetParameter:
    """Return the NetParameter of a prototxt file in any of Caffe's formats, upgraded."""
    return upgrade(read_text(path, NetParameter), str(path))


def upgrade(net: NetParameter, where: str = "the net") -> NetParameter:
    """Return a net in the current format: V0 and V1 layers become layers, named inputs an Input layer.

    Settings of a V1 data layer that are older than `transform_param` are moved there. Layers in the current format are
    unchanged, except a BatchNorm with three `param`s, whose multipliers become 0.

    Parameters
    ----------
    net : NetParameter
        It is not changed.
    where
        Its name in errors.

    Raises
    ------
    EmotiwError
        If it has layers of both formats, or inputs without a shape, or a V0 layer that Caffe does not upgrade.
    """
    if net.layer and net.layers:
        raise EmotiwError(f"{where} has `layer` and `layers`, two formats in one: Caffe takes either")
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    for field in ("input", "input_dim", "input_shape", "layers", "layer"):
        upgraded.ClearField(field)
    upgraded.layer.extend(_inputs(net, where))
    old: Iterable[V1LayerParameter] = v1_layers(net, where) if is_v0(net) else net.layers
    upgraded.layer.extend([*net.layer, *map(_layer, old)])
    for layer in upgraded.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:  # UpgradeNetBatchNorm: older ones learned nothing
            for spec in layer.param:
                spec.lr_mult = spec.decay_mult = 0
    return upgraded


def downgrade(net: NetParameter) -> NetParameter:
    """Return a current net in V1 format: the inverse of `upgrade`, for an Input layer and what V1 supports."""
    v1 = NetParameter()
    v1.CopyFrom(net)
    v1.ClearField("layer")
    inputs = [layer for layer in net.layer if layer.type == "Input"]
    v1.input.extend(top for layer in inputs for top in layer.top)
    v1.input_dim.extend(dim for layer in inputs for shape in layer.input_param.shape for dim in shape.dim)
    v1.layers.extend(_v1_layer(layer) for layer in net.layer if layer.type != "Input")
    return v1


def weighted(net: AnyNet) -> dict[str, Sequence[AnyBlob]]:
    """Return the blobs of every layer that has any, by its name; the net may be of any format."""
    return {name: blobs for name, blobs in stored(net).items() if blobs}


def stored(net: AnyNet) -> dict[str, Sequence[AnyBlob]]:
    """Return the blobs of every layer, by its name; the net may be of any format."""
    if net.layer:
        return {layer.name: layer.blobs for layer in net.layer}
    return {layer.layer.name or layer.name: layer.layer.blobs or layer.blobs for layer in net.layers}


def types(net: AnyNet) -> dict[str, str]:
    """Return every layer's current type name, by the layer's name; the net may be of any format."""
    return {layer.name: layer.type for layer in net.layer} | {
        layer.layer.name or layer.name: _type(layer) for layer in net.layers
    }


def _inputs(net: NetParameter, where: str) -> list[LayerParameter]:
    """UpgradeNetInput: one layer with all inputs."""
    dims = [list(shape.dim) for shape in net.input_shape] or [
        list(net.input_dim[first : first + 4]) for first in range(0, len(net.input_dim), 4)
    ]
    if len(dims) != len(net.input):
        raise EmotiwError(f"{where} has {len(net.input)} inputs and shapes for {len(dims)}")
    shapes = {"shape": [{"dim": dim} for dim in dims]}
    return [LayerParameter(name="input", type="Input", top=net.input, input_param=shapes)] if dims else []


def _layer(v1: V1LayerParameter) -> LayerParameter:
    """UpgradeV1LayerParameter."""
    changed = {"type", "layer", *_LEARNING}
    same = {
        field.name: value
        for field, value in v1.ListFields()
        if field.name in LayerParameter.DESCRIPTOR.fields_by_name and field.name not in changed
    }
    layer = LayerParameter(type=_type(v1), **same)
    for old, new in _LEARNING.items():
        for number, value in enumerate(getattr(v1, old)):
            _say_of_blob(layer, number, new, value)
    if layer.type in _TRANSFORMED:
        _move_transform(getattr(layer, _TRANSFORMED[layer.type]), layer.transform_param)
    return layer


def _move_transform(data: Message, transform: TransformationParameter) -> None:
    """UpgradeNetDataTransformation."""
    for field in _TRANSFORMS:
        if data.HasField(field):
            setattr(transform, field, getattr(data, field))
            data.ClearField(field)


def _say_of_blob(layer: LayerParameter, number: int, field: str, value: object) -> None:
    """Set a field in the ParamSpec of a layer's blob."""
    while len(layer.param) <= number:
        layer.param.add()
    setattr(layer.param[number], field, value)


def _v1_layer(layer: LayerParameter) -> V1LayerParameter:
    same = {
        field.name: value
        for field, value in layer.ListFields()
        if field.name in V1LayerParameter.DESCRIPTOR.fields_by_name and field.name not in {"type", "param"}
    }
    learning = {
        old: [getattr(param, new) for param in layer.param if param.HasField(new)] for old, new in _LEARNING.items()
    }
    return V1LayerParameter(type=_V1_TYPES[layer.type], **same, **learning)


def _type(v1: V1LayerParameter | PackedV1Layer) -> str:
    return _today(V1_NAMES.get(v1.layer.type, "NONE") if v1.HasField("layer") else enum_name(v1, "type"))


def _today(kind: str) -> str:
    """Return the current name of a V1 type."""
    return _TYPES.get(kind, "".join(word.capitalize() for word in kind.split("_")))


_KINDS = POOL.FindEnumTypeByName("caffe.V1LayerParameter.LayerType")
_V1_TYPES = {_today(kind): kind for kind in _KINDS.values_by_name}
