"""`caffe.io.load_image`, with the values of Debian 11's pycaffe: scikit-image 0.18 on imageio 2.4 on Pillow."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.image_codec import RefusedPictureError, require_few_pixels

from .blobs import Array

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])  # scikit-image's rgb2gray

_ORIENTATION = 0x0112
# The operation that makes a JPEG of each EXIF orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The modes that imageio converts. For "P", see `_palette_mode`.
_CONVERTED = {"1": "L", "CMYK": "RGB", "LA": "RGBA", "PA": "RGBA", "RGBA": "RGBA"}


def load_image(filename: str | Path, color: bool = True) -> NDArray[np.float32]:
    """Return an image file as (H, W, 3) RGB, or as (H, W, 1) grey if not `color`; float32, [0, 1].

    - a JPEG is rotated by its EXIF orientation
    - integers are divided by the maximum of their type: 255, or 65535 for a grey PNG of 16 bits
    - colour: an alpha channel is dropped, grey is repeated three times
    - grey: an alpha channel blends the colours with white, which then are 0.2125 R + 0.7154 G + 0.0721 B

    Raises
    ------
    EmotiwError
        If the file does not exist, has too many pixels or cannot be decoded.
    """
    path = Path(filename)
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    data = path.read_bytes()
    try:
        require_few_pixels(data)
        stored = _decode(data)
    except RefusedPictureError as error:
        raise EmotiwError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise EmotiwError(f"{path} is not a readable image") from None
    unit = _unit(stored)
    if unit.ndim == 3 and not color:
        unit = _grey(unit)
    image = np.atleast_3d(unit.astype(np.float32))[..., :3]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)) if color else image)


def _decode(data: bytes) -> Array:
    """Return (H, W) grey, or (H, W, 3) RGB, or (H, W, 4) RGBA, as imageio does."""
    with Image.open(BytesIO(data)) as image:
        is_png = image.format == "PNG"
        upright = _turned(image) if image.format in ("JPEG", "MPO") else image
        mode = _palette_mode(upright) if upright.mode == "P" else _CONVERTED.get(upright.mode, upright.mode)
        array = np.asarray(upright if upright.mode == mode else upright.convert(mode))
    return array.astype(np.uint16) if is_png and mode == "I" else array


def _turned(image: Image.Image) -> Image.Image:
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    method = _UPRIGHT.get(exif.get(_ORIENTATION, 1))
    return image if method is None else image.transpose(method)


def _palette_mode(image: Image.Image) -> str:
    """Return "L" if the palette is grey from its first to its last index in use, else "RGBA"."""
    indices = np.asarray(image)
    colours = np.reshape(image.getpalette() or [], (-1, 3))[indices.min() : indices.max() + 1]
    return "L" if (colours == colours[:, :1]).all() else "RGBA"


def _unit(stored: Array) -> Array:
    """Return scikit-image's `img_as_float`: integers in float64, [0, 1], floats as they are."""
    if stored.dtype.kind == "f":
        return stored
    limits = np.iinfo(stored.dtype)
    if limits.min < 0:
        return (stored + 0.5) * (2 / (limits.max - limits.min))
    return stored * (1 / limits.max)


def _grey(unit: Array) -> Array:
    """Return (H, W) of (H, W, 3) or (H, W, 4): scikit-image's `rgb2gray`, after its `rgba2rgb`."""
    rgb, alpha = unit[..., :3], unit[..., 3:]
    if alpha.size:
        rgb = ((1 - alpha) + alpha * rgb).clip(0, 1)
    return np.asarray(rgb @ _LUMINANCE.astype(rgb.dtype))
