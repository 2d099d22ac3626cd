"""Images in Caffe's Datum messages, as `convert_imageset` writes them."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.prototxt.datums import Colour, parse, pixels
from emotiw.prototxt.messages import Datum

STORES = ("raw", "png")


class Encoded(NamedTuple):
    """An image as it is stored: the serialised Datum, and the (C, H, W) uint8 array that comes back from it."""

    datum: bytes
    blob: NDArray[np.uint8]


def resize(rgb: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize an H x W x 3 image to size x size, bilinear, without keeping the aspect, as `convert_imageset` does."""
    import cv2

    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


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


def decode(serialised: bytes | memoryview) -> tuple[NDArray[np.uint8], int]:
    """Return the (C, H, W) uint8 array, channels in blue, green, red order, and the label of a serialised Datum.

    Raises
    ------
    EmotiwError
        Where it is damaged: in what way, without its place, which the caller knows.
    """
    datum = parse(serialised)
    values = pixels(datum, Colour.COLOUR)
    if values.dtype != np.uint8:
        raise EmotiwError("it holds floats, no picture")
    return np.asarray(values, np.uint8), datum.label
