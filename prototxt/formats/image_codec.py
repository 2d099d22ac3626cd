"""Pictures in files and in encoded Datums, decoded by OpenCV at memory that suits them."""

from typing import TYPE_CHECKING

import numpy as np

from emotiw.errors import EmotiwError
from emotiw.pixel_limit import VARIABLE, most_pixels

from .image_headers import header_size

if TYPE_CHECKING:
    from cv2.typing import MatLike

_PNG, _SIGNATURE = b"\x89PNG", 8  # how it begins, and the bytes before its first chunk
_ISO_MEDIA = b"ftyp"  # the type of the first box of an AVIF
_CHUNK = 12  # bytes beside its data: length, type, CRC
_JPEG, _SCAN = b"\xff\xd8", b"\xff\xda"  # how it begins, and how each scan does
_SCANS = 100  # in a JPEG at most: a progressive one has about ten, and each may take a pass over all pixels
_BY_CHANCE = 1 << 15  # bytes after a JPEG, such as a film, for which one more is allowed


class RefusedPictureError(EmotiwError):
    """The reason why a picture is not decoded, in a few words."""


def imdecode(data: bytes, flags: int) -> "MatLike | None":
    """Return what `cv2.imdecode` does, None where it can make nothing of the bytes.

    The header's size is held to the limit first, because OpenCV has another limit if it was imported before this
    package.

    Raises
    ------
    RefusedPictureError
        If it has too many pixels, or OpenCV raises.
    """
    import cv2

    if not data or png_cut_off(data):
        return None
    require_few_pixels(data)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # callers tell what is wrong, once
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
    """Return whether a PNG's chunks do not end in it; OpenCV asks for what a chunk says it needs, 4 GB at the most."""
    if not data.startswith(_PNG):
        return False
    place, kind = _SIGNATURE, b""
    while kind != b"IEND" and place < len(data):
        kind = data[place + 4 : place + 8]
        place += _CHUNK + int.from_bytes(data[place : place + 4], "big")
    return kind != b"IEND" or place > len(data)
