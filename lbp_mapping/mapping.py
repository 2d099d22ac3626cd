"""Map an RGB image to its representations: grey, codes, and the colours of the codes."""

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from .codes import grey, lbp_codes
from .kernels import compiled
from .representation import Representation
from .tables import palette

Image = npt.NDArray[np.uint8]
"""H x W x 3 RGB, [0, 255]."""


def map_image(rgb: Image, representation: Representation) -> Image:
    """Return an image in a representation, at its native size, as the authors' `lbp_mapping_code` makes it.

    1. grey: H x W uint8, MATLAB's `rgb2gray`;
    2. codes: (H - 2R) x (W - 2R) uint8;
    3. colours: (H - 2R) x (W - 2R) x 3 uint8, the code's row of the 3-D map as R, G, B.

    Resizing comes afterwards. It averages colours, which is meaningful because similar codes have similar colours.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].
    representation : Representation
        For `rgb` the image itself is returned.

    Returns
    -------
    (H - 2R, W - 2R, 3) uint8
        RGB, [0, 255].

    Raises
    ------
    ValueError
        If `rgb` is not an H x W x 3 uint8 array, or has fewer than 2R + 1 rows or columns.
    """
    return map_images(rgb, [representation])[0]


def map_images(rgb: Image, representations: Iterable[Representation]) -> list[Image]:
    """Return an image in several representations, in their order; grey and codes that they share are computed once.

    Parameters, elements of the list and errors are those of `map_image`.
    """
    grey_image: npt.NDArray[np.uint8] | None = None
    codes: dict[tuple[int, float], npt.NDArray[np.uint8]] = {}
    images: list[Image] = []
    for representation in representations:
        if representation.mapping == "rgb":
            images.append(rgb)
            continue
        if grey_image is None:
            grey_image = grey(rgb)
        operator = representation.radius, representation.threshold
        if operator not in codes:
            codes[operator] = lbp_codes(grey_image, *operator)
        images.append(coloured(codes[operator], representation.mapping))
    return images


def coloured(codes: npt.NDArray[np.uint8], mapping: str) -> Image:
    """Return the colour of every code: ``palette(mapping)[codes]``, but faster.

    Parameters
    ----------
    codes : (H, W) uint8
        LBP codes.
    mapping : str
        As for `palette`.

    Returns
    -------
    (H, W, 3) uint8
        RGB, [0, 255].
    """
    if kernels := compiled():
        rgb = np.empty((*codes.shape, 3), np.uint8)
        kernels.colours(np.ascontiguousarray(codes), palette(mapping), rgb)
        return rgb
    return np.asarray(cv2.merge([cv2.LUT(codes, channel) for channel in palette(mapping).T]), np.uint8)
