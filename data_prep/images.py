"""Decode an image file to an RGB array, or give the reason why it cannot be decoded."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.prototxt.formats.image_codec import RefusedPictureError, imdecode, png_cut_off

from .jpeg_markers import START, jpeg_cut_off

Rgb = NDArray[np.uint8]


class UnreadableImageError(ValueError):
    """A file is not a usable image; the message is the reason, in a few words."""


def read_image(path: Path) -> Rgb:
    """Decode an image file as Caffe's `convert_imageset` does (`cv::imread`, colour).

    Grey becomes three equal channels, alpha is dropped, 16 bits become 8, CMYK becomes RGB, a photo is rotated as its
    EXIF data say, and only the first picture of an animation is read. Corrupt data inside a JPEG is not detected.

    Returns
    -------
    (H, W, 3) uint8 RGB

    Raises
    ------
    UnreadableImageError
        If the file cannot be read, is truncated, or is not an image that OpenCV decodes.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(error.strerror or "cannot be read") from None
    return decode(data)


def decode(data: bytes) -> Rgb:
    """Decode the bytes of an image file; see `read_image`.

    Returns
    -------
    (H, W, 3) uint8 RGB

    Raises
    ------
    UnreadableImageError
        If they are truncated, or are not an image that OpenCV decodes.
    """
    import cv2

    if not data:
        raise UnreadableImageError("empty file")
    if jpeg_cut_off(data) if data.startswith(START) else png_cut_off(data):
        raise UnreadableImageError("cut off before its end")
    try:
        bgr = imdecode(data, cv2.IMREAD_COLOR)
    except RefusedPictureError as error:
        raise UnreadableImageError(str(error)) from None
    if bgr is None:
        raise UnreadableImageError("not an image that OpenCV reads")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def resize(rgb: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize an image as `convert_imageset` does: bilinear, without keeping the aspect ratio.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        In any colour order.
    size : int
        The new side in pixels.

    Returns
    -------
    (size, size, 3) uint8
    """
    import cv2

    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
