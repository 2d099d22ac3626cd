"""Find pictures of equal pixels by a digest of the decoded pixels, not of the file."""

import hashlib
import struct
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emotiw.progress_bar import bar

from .archives.tree import Source
from .image_list import Image
from .images import UnreadableImageError, decode
from .workers import in_order

SPLIT, LABEL = "split", "label"
"""The conflicts of a picture with those of equal pixels: one is in another split, or has another label."""

DROPPED = {
    SPLIT: "the same pixels are in another split (--same-pixels drop)",
    LABEL: "the same pixels are under another label (--same-pixels drop)",
}


def pixel_digest(rgb: NDArray[np.uint8]) -> str:
    """Return the sha256, in hexadecimal, of a picture's height, width and values.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, as decoded; H and W, as little-endian uint32, are hashed before it.
    """
    hashed = hashlib.sha256(struct.pack("<2I", *rgb.shape[:2]))
    hashed.update(np.ascontiguousarray(rgb).data)
    return hashed.hexdigest()


def find_pixels(source: Source, images: Sequence[Image], jobs: int, done: int = 0) -> Generator[str, None, None]:
    """Yield the pixel digest of each image but the first `done`, in their order; empty for one that cannot be read.

    Drawing a split needs them before any image is written, so each image is decoded once more.
    """
    yield from bar(in_order(partial(_digest, source), images[done:], jobs), "compare", len(images), "image", done)


def _digest(source: Source, image: Image) -> str:
    try:
        return pixel_digest(decode(source.read(image.path)))
    except UnreadableImageError:
        return ""


def conflicts(images: Iterable[Image], pixels: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the conflicts, `SPLIT` and `LABEL`, of each image by its path; images without any are omitted.

    Parameters
    ----------
    pixels
        The digest of each image by its path; empty if it is not known.
    """
    same: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if pixels.get(image.path):
            same[pixels[image.path]].append(image)
    found: dict[str, list[str]] = {}
    for equals in same.values():
        against = []
        if len({image.split for image in equals}) > 1:
            against.append(SPLIT)
        if len({image.name for image in equals} - {""}) > 1:
            against.append(LABEL)
        if against:
            found |= {image.path: against for image in equals}
    return found


def drop(images: Sequence[Image], pixels: Mapping[str, str]) -> tuple[list[Image], dict[str, str]]:
    """Return the images without the training images that have a conflict, and the reason for each of these."""
    against = conflicts(images, pixels)
    dropped = {
        image.path: DROPPED[against[image.path][0]]
        for image in images
        if image.split == "train" and image.path in against
    }
    return [image for image in images if image.path not in dropped], dropped
