"""Decode images of files and encoded Datums by OpenCV, within memory limits."""

from typing import TYPE_CHECKING

import numpy as np

from emotiw.errors import EmotiwError
from emotiw.pixel_limit import VARIABLE, most_pixels

from .image_headers import header_size

if TYPE_CHECKING:
    from cv2.typing import MatLike

_PNG, _SIGNATURE = b"\x89PNG", 8  # its first bytes, and the number of bytes before its first chunk
_ISO_MEDIA = b"ftyp"  # the type of an AVIF's first box
_CHUNK = 12  # bytes in addition to its data: length, type, CRC
_JPEG, _SCAN = b"\xff\xd8", b"\xff\xda"  # the first bytes of a JPEG, and of each scan
_SCANS = 100  # at most, in a JPEG: a progressive one has about ten, and each may need a pass over all pixels
_BY_CHANCE = 1 << 15  # bytes after a JPEG, such as a film, for which one more is allowed


class RefusedPictureError(EmotiwError):
    """A short reason why an image is not decoded."""


def imdecode(data: bytes, flags: int) -> "MatLike | None":
    """Decode as `cv2.imdecode` does; None if it cannot decode the bytes.

    The size in the header is checked against the limit first, because OpenCV has another limit if it was imported
    before this package.

    Raises
    ------
    RefusedPictureError
        If it has too many pixels, or OpenCV raises.
    """
    import cv2

    if not data or png_cut_off(data):
        return None
    require_few_pixels(data)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # callers report errors, once
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        reason = error.err or "refused"
        raise RefusedPictureError(_too_many() if "MAX_IMAGE_PIXELS" in reason else f"OpenCV: {reason}") from None


def require_few_pixels(data: bytes) -> None:
    """Raise `RefusedPictureError` if an image file has too many pixels by its header, or too many passes over them."""
    if data[4:8] == _ISO_MEDIA:
        raise RefusedPictureError("an AVIF, which may have more pixels than its header says: convert it to PNG")
    if data.startswith(_JPEG) and data.count(_SCAN) > _SCANS + len(data) // _BY_CHANCE:
        raise RefusedPictureError("a JPEG of too many scans: save it as PNG")
    width, height = header_size(data) or (0, 0)
    if width * height > most_pixels():
        raise RefusedPictureError(_too_many(f": {width} x {height}"))


def _too_many(size: str = "") -> str:
    return f"more than {most_pixels()} pixels{size} (shrink it, or set ${VARIABLE})"


def png_cut_off(data: bytes) -> bool:
    """Return whether a PNG ends within a chunk; OpenCV allocates the size that a chunk claims, up to 4 GB."""
    if not data.startswith(_PNG):
        return False
    place, kind = _SIGNATURE, b""
    while kind != b"IEND" and place < len(data):
        kind = data[place + 4 : place + 8]
        place += _CHUNK + int.from_bytes(data[place : place + 4], "big")
    return kind != b"IEND" or place > len(data)
