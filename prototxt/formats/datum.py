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

_LABEL = 5  # the number of that field of a Datum

Pixels = NDArray[np.uint8] | NDArray[np.float32]


class Colour(Enum):
    """How an encoded picture is decoded, by OpenCV's flags: Caffe's DecodeDatumToCVMat and its Native."""

    NATIVE = -1  # as it is: grey is one channel; a photo is not turned as its EXIF says
    GREY = 0
    COLOUR = 1


def parse(serialised: bytes | bytearray | memoryview) -> Datum:
    """Return a Datum, a copy of its bytes."""
    try:
        return Datum.FromString(cast(bytes, memoryview(serialised)))  # every protobuf takes one; 4 takes no bytearray
    except DecodeError:
        raise EmotiwError("it is no Datum of Caffe's") from None


def pixels(datum: Datum, colour: Colour = Colour.NATIVE) -> Pixels:
    """Return the image of a Datum.

    Parameters
    ----------
    datum : Datum
        An encoded one's own sides do not matter.
    colour
        For encoded ones.

    Returns
    -------
    (C, H, W) uint8, or float32 where the Datum has floats; channels in blue, green, red order.

    Raises
    ------
    EmotiwError
        If it is damaged: in what way, without its place, which the caller knows.
    """
    return _decoded(datum.data, colour) if datum.encoded else _planes(datum)


@contextmanager
def damage_placed(path: Path, key: bytes) -> Iterator[None]:
    """Name the record of an LMDB in an error about its Datum."""
    try:
        yield
    except EmotiwError as error:
        raise EmotiwError(f"{spelt(path, key)} is damaged: {error}; make the LMDB anew") from None


def spelt(path: Path, key: bytes) -> str:
    """Return how errors name the record of an LMDB."""
    return f"{path}: the record {key.decode(errors='backslashreplace')!r}"


def _planes(datum: Datum) -> Pixels:
    shape = (datum.channels, datum.height, datum.width)
    values: Pixels = np.frombuffer(datum.data, np.uint8)
    if not values.size:
        values = np.array(datum.float_data, np.float32)
    if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
        raise EmotiwError(f"it says {shape[0]} x {shape[1]} x {shape[2]} and holds {values.size} values")
    return values.reshape(shape)


def _decoded(data: bytes, colour: Colour) -> NDArray[np.uint8]:
    try:
        picture = imdecode(data, colour.value)
    except RefusedPictureError as error:
        raise EmotiwError(f"its picture cannot be decoded: {error}") from None
    if picture is None:
        raise EmotiwError("its picture cannot be decoded")
    if picture.dtype != np.uint8:
        raise EmotiwError(f"its picture is {picture.dtype}: Caffe takes 8 bits a channel")
    return np.asarray(np.atleast_3d(picture).transpose(2, 0, 1), np.uint8)


class Encoded(NamedTuple):
    """An image as it is stored: the serialised Datum, and the (C, H, W) uint8 array that comes back from it."""

    datum: bytes
    blob: NDArray[np.uint8]


def encode(rgb: NDArray[np.uint8], label: int, store: str) -> Encoded:
    """Return an H x W x 3 RGB image as a Datum.

    Parameters
    ----------
    store
        "raw": bytes in channel (blue, green, red), row, column order; "png": an encoded, loss-free PNG.
    """
    import cv2

    assert rgb.dtype == np.uint8, "OpenCV would fill other planes than ours"
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
    """Return what stands before and behind the pixels in a serialised Datum: protobuf would copy them three times."""
    channels, height, width = shape
    pixels = b"\xff" * (channels * height * width)
    datum = Datum(channels=channels, height=height, width=width, data=pixels, label=label, encoded=False)
    head, _, tail = datum.SerializeToString().partition(pixels)
    return head, tail


def label_of(serialised: bytes | memoryview) -> int:
    """Return the label of a serialised Datum; of its pixels nothing is read, wherever they lie.

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
            raise EmotiwError("it is no Datum of Caffe's")
    if at != len(serialised):
        raise EmotiwError("it is no Datum of Caffe's")
    return (label & 0xFFFFFFFF ^ 0x80000000) - 0x80000000  # an int32, of which a negative one takes ten bytes


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the number at a place, as protobuf writes it, and the place behind it."""
    number = shift = 0
    while at < len(data) and shift < 70:
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
        shift += 7
    raise EmotiwError("it is no Datum of Caffe's")


def decode(serialised: bytes | memoryview) -> tuple[NDArray[np.uint8], int]:
    """Return the (C, H, W) uint8 array, channels in blue, green, red order, and the label of a serialised Datum.

    Raises
    ------
    EmotiwError
        If it is damaged: in what way, without its place, which the caller knows.
    """
    datum = parse(serialised)
    values = pixels(datum, Colour.COLOUR)
    if values.dtype != np.uint8:
        raise EmotiwError("it holds floats, no picture")
    return np.asarray(values, np.uint8), datum.label
