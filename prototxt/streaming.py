"""A caffemodel written piece by piece: protobuf's own writer would hold its hundred million numbers several times."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emotiw.files import whole

from .blobs import Blob
from .messages import BlobProto, NetParameter, message_class


def write_v1(path: Path, net: Any, blobs: Callable[[str], list[Blob]]) -> None:
    """Write a net of V1 layers and their blobs as a caffemodel, whole or not at all.

    Parameters
    ----------
    path
        The file.
    net : NetParameter
        Its `layers` have no blobs yet.
    blobs
        Gives a layer's blobs by its name, float32 of up to four axes; asked once a layer, in the net's order. Their
        shapes are written in the four old fields, as Caffe did when it had V1 layers.
    """
    head = type(net)()
    head.CopyFrom(net)
    head.ClearField("layers")
    with whole(path) as temporary, temporary.open("wb") as file:
        file.write(head.SerializeToString())
        for layer in net.layers:
            pieces = [layer.SerializeToString()]
            for blob in blobs(layer.name):
                pieces += _blob(blob)
            file.write(_head(_number(NetParameter, "layers"), sum(map(len, pieces))))
            file.writelines(pieces)


def _blob(array: Blob) -> list[bytes | memoryview]:
    """Return the bytes of a layer's field `blobs`."""
    num, channels, height, width = (1,) * (4 - array.ndim) + array.shape
    shape = BlobProto(num=num, channels=channels, height=height, width=width).SerializeToString()
    data = array.astype("<f4", copy=False).ravel().view(np.uint8).data
    shape += _head(_number(BlobProto, "data"), len(data))
    return [_head(_number(message_class("V1LayerParameter"), "blobs"), len(shape) + len(data)) + shape, data]


def _number(message: Any, field: str) -> int:
    return int(message.DESCRIPTOR.fields_by_name[field].number)


def _head(number: int, size: int) -> bytes:
    """Return what stands before a field of `size` bytes: its number and wire type 2, and its length."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    """Return protobuf's base 128: seven bits a byte, the lowest first, the top bit set where more follow."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
