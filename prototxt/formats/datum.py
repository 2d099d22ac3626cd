"""Caffe's Datum messages and images: read raw bytes, floats, JPEG or PNG; write as `convert_imageset` does."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from emotiw.errors import EmotiwError

from .image_codec import RefusedPictureError, imdecode
from .messages import Datum

_LABEL = 5  # the field number of a Datum's label

Pixels = NDArray[np.uint8] | NDArray[np.float32]


class Colour(Enum):
    """OpenCV's flags for decoding an encoded image: Caffe's DecodeDatumToCVMat and DecodeDatumToCVMatNative."""

    NATIVE = -1  # unchanged: grey is one channel; EXIF orientation is ignored
    GREY = 0
    COLOUR = 1


def parse(serialised: bytes | bytearray | memoryview) -> Datum:
    """Parse a Datum; its bytes are copied."""
    try:
        return Datum.FromString(cast(bytes, memoryview(serialised)))  # protobuf 4 takes no bytearray
    except DecodeError:
        raise EmotiwError("it is not a Caffe Datum") from None


def pixels(datum: Datum, colour: Colour = Colour.NATIVE) -> Pixels:
    """Return the image of a Datum.

    Parameters
    ----------
    datum : Datum
        If it is encoded, its height and width fields are ignored.
    colour
        How an encoded image is decoded.

    Returns
    -------
    (C, H, W) uint8, or float32 if the Datum has floats; channels in blue, green, red order.

    Raises
    ------
    EmotiwError
        If it is damaged; the message says how, and leaves it to the caller to say where.
    """
    return _decoded(datum.data, colour) if datum.encoded else _planes(datum)


@contextmanager
def damage_placed(path: Path, key: bytes) -> Iterator[None]:
    """Add an LMDB's path and key to errors about its Datum."""
    try:
        yield
    except EmotiwError as error:
        raise EmotiwError(f"{spelt(path, key)} is damaged: {error}; make the LMDB again") from None


def spelt(path: Path, key: bytes) -> str:
    """Return the name of an LMDB's record for errors."""
    return f"{path}: the record {key.decode(errors='backslashreplace')!r}"


def _planes(datum: Datum) -> Pixels:
    shape = (datum.channels, datum.height, datum.width)
    values: Pixels = np.frombuffer(datum.data, np.uint8)
    if not values.size:
        values = np.array(datum.float_data, np.float32)
    if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
        raise EmotiwError(f"its size is {shape[0]} x {shape[1]} x {shape[2]}, but it holds {values.size} values")
    return values.reshape(shape)


def _decoded(data: bytes, colour: Colour) -> NDArray[np.uint8]:
    try:
        picture = imdecode(data, colour.value)
    except RefusedPictureError as error:
        raise EmotiwError(f"its picture cannot be decoded: {error}") from None
    if picture is None:
        raise EmotiwError("its picture cannot be decoded")
    if picture.dtype != np.uint8:
        raise EmotiwError(f"its picture is {picture.dtype}: Caffe needs 8 bits per channel")
    return np.asarray(np.atleast_3d(picture).transpose(2, 0, 1), np.uint8)


class Encoded(NamedTuple):
    """A stored image: the serialised Datum, and the (C, H, W) uint8 array that decoding it returns."""

    datum: bytes
    blob: NDArray[np.uint8]


def encode(rgb: NDArray[np.uint8], label: int, store: str) -> Encoded:
    """Return an H x W x 3 RGB image as a Datum.

    Parameters
    ----------
    store
        "raw": bytes in channel (blue, green, red), row, column order; "png": an encoded, lossless PNG.
    """
    import cv2

    assert rgb.dtype == np.uint8, "uint8 only: OpenCV would write into other arrays than ours"
    assert rgb.shape[2:] == (3,)
    blob = np.empty((3, *rgb.shape[:2]), np.uint8)
    cv2.split(rgb, list(blob[::-1]))
    if store == "raw":
        head, tail = _around(blob.shape, label)
        return Encoded(b"".join((head, blob.data, tail)), blob)
    png = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    return Encoded(Datum(data=png, label=label, encoded=True).SerializeToString(), blob)


@cache
def _around(shape: tuple[int, int, int], label: int) -> tuple[bytes, bytes]:
    """Return a serialised Datum's bytes before and after its pixels; protobuf would copy the pixels three times."""
    channels, height, width = shape
    pixels = b"\xff" * (channels * height * width)
    datum = Datum(channels=channels, height=height, width=width, data=pixels, label=label, encoded=False)
    head, _, tail = datum.SerializeToString().partition(pixels)
    return head, tail


def label_of(serialised: bytes | memoryview) -> int:
    """Return the label of a serialised Datum without reading its pixels, wherever they are.

    Raises
    ------
    EmotiwError
        If it is damaged.
    """
    label, at = 0, 0
    while at < len(serialised):
        tag, at = _varint(serialised, at)
        field, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(serialised, at)
            label = value if field == _LABEL else label
        elif kind == 2:
            length, at = _varint(serialised, at)
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise EmotiwError("it is not a Caffe Datum")
    if at != len(serialised):
        raise EmotiwError("it is not a Caffe Datum")
    return (label & 0xFFFFFFFF ^ 0x80000000) - 0x80000000  # an int32; a negative one is encoded in ten bytes


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the varint at an offset, and the offset after it."""
    number = shift = 0
    while at < len(data) and shift < 70:
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
        shift += 7
    raise EmotiwError("it is not a Caffe Datum")


def decode(serialised: bytes | memoryview) -> tuple[NDArray[np.uint8], int]:
    """Return the (C, H, W) uint8 array, channels in blue, green, red order, and the label of a serialised Datum.

    Raises
    ------
    EmotiwError
        If it is damaged; the message says how, and leaves it to the caller to say where.
    """
    datum = parse(serialised)
    values = pixels(datum, Colour.COLOUR)
    if values.dtype != np.uint8:
        raise EmotiwError("it holds floats, not a picture")
    return np.asarray(values, np.uint8), datum.label
