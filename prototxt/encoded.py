"""Pictures in files and in encoded Datums, decoded by OpenCV at memory that suits them."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A PNG of 1 MB can hold a thousand million pixels of one colour, and mapping takes 100 bytes a pixel. OpenCV reads its
# limit once, when it is imported; whoever has larger pictures can set it.
MOST_PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"
os.environ.setdefault(MOST_PIXELS, str(1 << 25))

_PNG, _SIGNATURE = b"\x89PNG", 8  # how it begins, and the bytes before its first chunk
_CHUNK = 12  # bytes beside its data: length, type, CRC


def imdecode(data: bytes, flags: int) -> NDArray[Any] | None:
    """Return what `cv2.imdecode` does, None where it can make nothing of the bytes.

    Raises
    ------
    cv2.error
        Where it raises.
    """
    import cv2

    if not data or png_cut_off(data):
        return None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # callers tell what is wrong, once
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if picture is None else np.asarray(picture)


def png_cut_off(data: bytes) -> bool:
    """Return whether a PNG's chunks do not end in it; OpenCV asks for what a chunk says it needs, 4 GB at the most."""
    if not data.startswith(_PNG):
        return False
    place, kind = _SIGNATURE, b""
    while kind != b"IEND" and place < len(data):
        kind = data[place + 4 : place + 8]
        place += _CHUNK + int.from_bytes(data[place : place + 4], "big")
    return kind != b"IEND" or place > len(data)
