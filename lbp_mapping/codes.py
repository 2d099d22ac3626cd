"""Grey image to LBP codes: Oulu's `lbp.m` 0.3.2 as the authors call it, bit for bit.

The order of operations decides ties, so it is part of the rule: neighbours are sampled at 1-based float64
coordinates, the four products of a bilinear sample are added in the order top left, top right, bottom left,
bottom right, and nothing is rounded before the comparison.
"""

import math
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from .kernels import compiled

Grey = npt.NDArray[np.uint8]
"""H x W grey values, or LBP codes, [0, 255]."""

NEIGHBOURS = 8

# The first row of the inverse of MATLAB's NTSC matrix. The grey of every RGB triple is at least 4.5e-6 from a half, so
# neither further digits nor the order of the sum change a grey value.
GREY_WEIGHTS = (0.298936021, 0.587043074, 0.114020904)

# The same for integers. With 23 binary places every RGB triple has the same grey; with 24, a hundred differ.
BINARY_WEIGHTS = tuple(round(weight * 2**23) for weight in GREY_WEIGHTS)

# `lbp.m` takes the pixel itself if a sample point is this close to its centre.
ON_PIXEL = 1e-6


def grey(rgb: npt.NDArray[np.uint8]) -> Grey:
    """Convert RGB to grey as MATLAB's `rgb2gray` does, which the authors used; Pillow and OpenCV give other values.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].

    Returns
    -------
    (H, W) uint8
        0.298936021 R + 0.587043074 G + 0.114020904 B, halves rounded up.

    Raises
    ------
    ValueError
        If `rgb` is not an H x W x 3 uint8 array.

    Examples
    --------
    >>> grey(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], np.uint8)).tolist()
    [[76, 150, 29, 7]]
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"an RGB image is an H x W x 3 array of uint8, not {rgb.shape} of {rgb.dtype}")
    if kernels := compiled():
        found = np.empty(rgb.shape[:2], np.uint8)
        kernels.grey(np.ascontiguousarray(rgb), BINARY_WEIGHTS, found)
        return found
    rounding = np.array([[*GREY_WEIGHTS, 0.5]])  # 0.5 is added to the sum; the cast rounds down
    return np.asarray(cv2.transform(rgb.astype(np.float64), rounding)).astype(np.uint8)


def lbp_codes(grey: Grey, radius: int = 1, threshold: float = 0.0) -> Grey:
    r"""Return the LBP code of every pixel that has all its neighbours.

    .. math:: c = \sum_{k=0}^{7} 2^k \, [\, n_k - g \ge t \,]

    where g is the centre's grey value, t the threshold and n_k the grey value at row -R sin(2 pi k / 8), column
    +R cos(2 pi k / 8) from the centre: E, NE, N, NW, W, SW, S, SE. The four diagonal ones are interpolated.

    Parameters
    ----------
    grey : (H, W) uint8
        Grey values, [0, 255].
    radius : int
        R in pixels: 1, 5 or 10 in the authors' released models.
    threshold : float
        t in grey values, [-255, 255]; the authors' code has only 0.

    Returns
    -------
    (H - 2R, W - 2R) uint8
        The codes; there is no padding.

    Raises
    ------
    ValueError
        If the image is not uint8, or has fewer than 2R + 1 rows or columns.

    Notes
    -----
    The description of the method that this project started from sets a bit if the neighbour is *greater* than the
    centre; the authors' code also sets it if they are equal. This function follows the code.  # Deviation D1

    Examples
    --------
    The neighbours above the centre (NE, N, NW: bits 1, 2, 3) are brighter:

    >>> lbp_codes(np.array([[9, 9, 9], [1, 5, 1], [1, 1, 1]], np.uint8)).tolist()
    [[14]]
    """
    if grey.dtype != np.uint8:
        raise ValueError(f"LBP codes are computed from uint8 grey values, not from {grey.dtype}")
    height, width = grey.shape
    if min(height, width) <= 2 * radius:
        raise ValueError(
            f"an image of {width} x {height} pixels is too small for LBP codes of radius {radius}: "
            f"it needs at least {2 * radius + 1} x {2 * radius + 1}"
        )
    if kernels := compiled():
        codes = np.empty((height - 2 * radius, width - 2 * radius), np.uint8)
        thresholds = threshold, math.ceil(threshold)
        kernels.codes(np.ascontiguousarray(grey), width, radius, _sample_arrays(radius), thresholds, codes)
        return codes
    return _codes_by_numpy(grey, radius, threshold)


def _codes_by_numpy(grey: Grey, R: int, threshold: float) -> Grey:
    """Compute the codes of an image that is large enough, as kernels.c does."""
    height, width = grey.shape
    # Rows are contiguous, so each neighbour is the flat image from another offset: faster than slices of two axes. In
    # the last 2R columns the neighbours come from the next row; these columns are cut off at the end.
    size = (height - 2 * R) * width - 2 * R
    pixels, image = grey.ravel().astype(np.int16), grey.ravel().astype(np.float64)
    start = R * width + R
    centre, limit = image[start:][:size], pixels[start:][:size] + np.int16(math.ceil(threshold))
    sample, product = np.empty((2, size))

    codes = np.zeros((height - 2 * R, width), np.uint8)
    packed = codes.ravel()[:size]
    for k in reversed(range(NEIGHBOURS)):
        (weight, row, column), *others = sample_terms(k, R)
        offset = row * width + column
        if not others:  # the neighbour is a pixel: n - g >= t compares integers
            bits = pixels[offset:][:size] >= limit
        else:
            np.multiply(weight, image[offset:][:size], out=sample)
            for weight, row, column in others:
                np.multiply(weight, image[row * width + column :][:size], out=product)
                np.add(sample, product, out=sample)
            bits = sample >= centre if threshold == 0 else sample - centre >= threshold
        np.add(packed, packed, out=packed)
        np.bitwise_or(packed, bits.view(np.uint8), out=packed)
    return np.ascontiguousarray(codes[:, : width - 2 * R])


@cache
def sample_terms(k: int, radius: int) -> tuple[tuple[float, int, int], ...]:
    """Return neighbour `k` as a weighted sum of pixels, for the first pixel that has all its neighbours.

    Parameters
    ----------
    k : int
        0 to 7: E, NE, N, NW, W, SW, S, SE.
    radius : int
        In pixels.

    Returns
    -------
    tuple of (weight, row, column)
        In the order in which they are added: one pixel of weight 1, or the four around the sample point.
        Rows and columns count from 0.

    Notes
    -----
    Coordinates count from 1, as in MATLAB. Counting from 0 would give the same points with other rounding errors, and
    at R = 1 one code in a hundred would change.
    """
    angle = 2 * math.pi * k / NEIGHBOURS
    y = -radius * math.sin(angle) + (radius + 1)
    x = radius * math.cos(angle) + (radius + 1)
    if max(abs(y - round(y)), abs(x - round(x))) < ON_PIXEL:
        return ((1.0, round(y) - 1, round(x) - 1),)
    top, left = math.floor(y), math.floor(x)
    ty, tx = y - top, x - left
    return (
        ((1 - tx) * (1 - ty), top - 1, left - 1),
        (tx * (1 - ty), top - 1, left),
        ((1 - tx) * ty, top, left - 1),
        (tx * ty, top, left),
    )


@cache
def _sample_arrays(radius: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the weights, (8, 4), and the rows and columns, (8, 4, 2), of all neighbours' pixels.

    A neighbour that is one pixel is padded with three of weight 0, which do not change the sample.
    """
    weights, places = np.zeros((NEIGHBOURS, 4)), np.zeros((NEIGHBOURS, 4, 2), np.int64)
    for k in range(NEIGHBOURS):
        for corner, (weight, *place) in enumerate(sample_terms(k, radius)):
            weights[k, corner], places[k, corner] = weight, place
    return weights, places
