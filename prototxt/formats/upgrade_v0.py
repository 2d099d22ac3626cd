"""Upgrade nets from Caffe's V0 format, of 2013, to V1, as Caffe's upgrade_proto.cpp does.

A V0 layer is a `layers { layer { ... } }`: all types share the fields of the inner message.
"""

from collections.abc import Iterator, Mapping

from google.protobuf.message import Message

from emotiw.errors import EmotiwError

from .messages import NetParameter, V0LayerParameter, V1LayerParameter

V1_NAMES: Mapping[str, str] = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}
"""The V1 names of V0 types."""

_CONVOLUTION, _INNER, _POOLING = "convolution_param", "inner_product_param", "pooling_param"
_DATA, _HDF5, _IMAGES, _WINDOWS = "data_param", "hdf5_data_param", "image_data_param", "window_data_param"
_PARAMS: Mapping[str, str] = {
    "conv": _CONVOLUTION,
    "innerproduct": _INNER,
    "pool": _POOLING,
    "lrn": "lrn_param",
    "dropout": "dropout_param",
    "concat": "concat_param",
    "data": _DATA,
    "hdf5_data": _HDF5,
    "images": _IMAGES,
    "window_data": _WINDOWS,
    "infogain_loss": "infogain_loss_param",
}
"""The V1 message of each V0 type's own fields."""

_NEW_NAMES: Mapping[str, str] = {
    "biasterm": "bias_term",
    "kernelsize": "kernel_size",
    "batchsize": "batch_size",
    "shuffle_images": "shuffle",
}
_LEARNING = ("weight_filler", "bias_filler")
_OWN_FIELDS: Mapping[str, tuple[str, ...]] = {
    _CONVOLUTION: ("num_output", "biasterm", *_LEARNING, "pad", "kernelsize", "group", "stride"),
    _INNER: ("num_output", "biasterm", *_LEARNING),
    _POOLING: ("pool", "pad", "kernelsize", "stride"),
    "lrn_param": ("local_size", "alpha", "beta", "k"),
    "dropout_param": ("dropout_ratio",),
    "concat_param": ("concat_dim",),
    _DATA: ("source", "batchsize", "rand_skip"),
    _HDF5: ("source", "batchsize"),
    _IMAGES: ("source", "batchsize", "rand_skip", "shuffle_images", "new_height", "new_width"),
    _WINDOWS: (
        *("source", "batchsize", "det_fg_threshold", "det_bg_threshold", "det_fg_fraction"),
        *("det_context_pad", "det_crop_mode"),
    ),
    "infogain_loss_param": ("source",),
}
"""The V0 fields that become fields of each V1 message."""

_TRANSFORMS: Mapping[str, str] = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
_SAME = ("name", "blobs", "blobs_lr", "weight_decay")


def is_v0(net: NetParameter) -> bool:
    """Return whether a net has a V0 layer."""
    return any(connection.HasField("layer") for connection in net.layers)


def v1_layers(net: NetParameter, where: str) -> Iterator[V1LayerParameter]:
    """Yield the layers of a V0 net in V1 format; paddings become the `pad` of the layers that read them.

    Raises
    ------
    EmotiwError
        If a layer has a type or a field that Caffe does not upgrade; `where` names the net.
    """
    paddings: dict[str, V1LayerParameter] = {}
    for given in net.layers:
        connection = V1LayerParameter()
        connection.CopyFrom(given)
        v0, place = connection.layer, f"{where}: layer {connection.layer.name!r} ({connection.layer.type or 'no type'})"
        padded = [paddings[name] for name in connection.bottom if name in paddings]
        if padded and (v0.type not in ("conv", "pool") or len(connection.bottom) != 1):
            raise EmotiwError(f"{place} reads a padding: only conv and pool do, with one bottom")
        for padding in padded:
            v0.pad = padding.layer.pad
            connection.bottom[0] = padding.bottom[0]
        for top in connection.top:
            paddings.pop(top, None)
        if v0.type == "padding":
            if len(connection.bottom) != 1 or len(connection.top) != 1:
                raise EmotiwError(f"{place} has one bottom and one top")
            paddings[connection.top[0]] = connection
        else:
            yield _layer(connection, place)


def _layer(connection: V1LayerParameter, place: str) -> V1LayerParameter:
    """UpgradeV0LayerParameter."""
    v0 = connection.layer
    if v0.type not in V1_NAMES:
        raise EmotiwError(f"{place}: Caffe upgrades no such V0 type: there are {', '.join(V1_NAMES)}, padding")
    v1 = V1LayerParameter(type=V1_NAMES[v0.type], bottom=connection.bottom, top=connection.top)
    for field, _ in v0.ListFields():
        if field.name != "type":
            _move(v0, field.name, v1, place)
    return v1


def _move(v0: V0LayerParameter, field: str, v1: V1LayerParameter, place: str) -> None:
    """Set a V0 field in the V1 layer."""
    param = _PARAMS.get(v0.type, "")
    if field in _SAME:
        _set(v1, field, getattr(v0, field))
    elif field in _TRANSFORMS:
        _set(v1.transform_param, _TRANSFORMS[field], getattr(v0, field))
    elif field in _OWN_FIELDS.get(param, ()):
        _set(getattr(v1, param), _NEW_NAMES.get(field, field.removeprefix("det_")), getattr(v0, field))
    elif (v0.type, field) == ("hdf5_output", "hdf5_output_param"):
        _set(v1, field, getattr(v0, field))
    else:
        raise EmotiwError(f"{place}: Caffe upgrades no {field!r} of a V0 layer of this type: remove it")


def _set(message: Message, field: str, value: object) -> None:
    """Set a field of any kind; a single value becomes a list of one in a repeated field."""
    place = getattr(message, field)
    if hasattr(place, "extend"):
        place.extend(value if hasattr(value, "extend") else [value])
    elif isinstance(value, Message):
        place.CopyFrom(value)
    else:
        setattr(message, field, value)
