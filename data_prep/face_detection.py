"""Face detection by OpenCV's frontal cascade, which its wheel includes."""

from functools import cache
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import cv2

Box = tuple[int, int, int, int]


@cache
def _cascade(thread: int) -> "cv2.CascadeClassifier":
    """Return the cascade of a thread; a cascade is not thread-safe."""
    import cv2

    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"))


def find_faces(rgb: NDArray[np.uint8]) -> list[Box]:
    """Find the faces in an image by OpenCV's `haarcascade_frontalface_default`.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].

    Returns
    -------
    list of (x, y, width, height)
        In pixels, the largest first; at least 30 x 30.
    """
    import cv2

    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    boxes = _cascade(get_ident()).detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(30, 30))
    return sorted((tuple(int(side) for side in box) for box in boxes), key=lambda box: -box[2] * box[3])  # type: ignore[misc]


def crop_face(rgb: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the largest face of an image.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].

    Returns
    -------
    (h, w, 3) uint8 or None
        A view of the image; None if no face is found.
    """
    # Deviation D4
    faces = find_faces(rgb)
    if not faces:
        return None
    x, y, width, height = faces[0]
    return rgb[y : y + height, x : x + width]
