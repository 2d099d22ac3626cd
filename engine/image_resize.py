"""Resize images as scikit-image 0.18 does, which pycaffe uses, for every order of interpolation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError

Array = NDArray[Any]

# SciPy's names of the rules beyond the border, by NumPy's, which are scikit-image's too.
MODES: Mapping[str, str] = {
    "constant": "constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "wrap",
}
_SPLINES = (2, 4, 5)
_TRUNCATE = 4  # a Gaussian ends after this many standard deviations
_TAPS = 3  # how many pixels beyond the border an interpolation may read


def smoothed(image: Array, sides: tuple[int, int], mode: str = "constant", cval: float = 0) -> Array:
    """Smooth an (H, W, K) image by a Gaussian along the axes that shrink, in the image's own type.

    Raises
    ------
    EmotiwError
        If there is no such mode.
    """
    _require_mode(mode)
    rows, columns = ((whole / side - 1) / 2 for whole, side in zip(image.shape[:2], sides, strict=True))
    if rows <= 0 and columns <= 0:
        return image
    planes = np.moveaxis(image, 2, 0)
    return np.stack([_blurred(_blurred(plane, rows, mode, cval).T, columns, mode, cval).T for plane in planes], axis=2)


def _blurred(plane: Array, sigma: float, mode: str, cval: float) -> Array:
    """Return `scipy.ndimage.gaussian_filter1d` of the columns of an (H, W) plane, to the bit.

    Products are added in SciPy's order, in float64. To import `scipy.ndimage` takes longer than a small net's answer.
    """
    if sigma <= 0:
        return plane
    radius = int(_TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    weights /= weights.sum()
    rule: dict[str, Any] = {"constant_values": cval} if mode == "constant" else {}
    framed = np.pad(plane.astype(np.float64), ((radius, radius), (0, 0)), mode, **rule)  # type: ignore[call-overload]
    shifted = [framed[begin : begin + len(plane)] for begin in range(2 * radius + 1)]
    total = shifted[radius] * weights[radius]
    for before, after, weight in zip(shifted[:radius], shifted[:radius:-1], weights[:radius], strict=True):
        total += (before + after) * weight
    return np.asarray(total, plane.dtype)


def bilinear(image: Array, sides: tuple[int, int]) -> Array:
    """Resize an (H, W, K) image to (height, width), with zeros beyond the border, in the image's own type.

    This is `scipy.ndimage.zoom(..., order=1, mode="grid-constant", grid_mode=True)`, to the bit: products are added in
    SciPy's order, in float64.
    """
    framed = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    rows, columns = (_neighbours(side, wanted) for side, wanted in zip(image.shape[:2], sides, strict=True))
    total = np.zeros((*sides, image.shape[2]))
    for row, vertical in rows:
        for column, horizontal in columns:
            total += framed[np.ix_(row, column)] * vertical[:, None, None] * horizontal[:, None]
    return total.astype(image.dtype)


def _neighbours(side: int, wanted: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return, for each pixel of a resized axis, the two nearest pixels in an axis with a frame, and their weights."""
    places = (np.arange(wanted) + 0.5) * (side / wanted) - 0.5
    first = np.floor(places)
    weights = 1 - (places - first)
    begin = first.astype(np.int64) + 1  # the frame
    return [(begin, weights), (begin + 1, 1 - weights)]


def resize(
    image: Array, sides: tuple[int, int], order: int, mode: str = "constant", cval: float = 0, clip: bool = True
) -> NDArray[np.float64]:
    """Resize an image to (height, width): `skimage.transform.resize` without its smoothing.

    Parameters
    ----------
    image : (H, W, K) float
        An image of any values.
    sides
        Height and width of the result.
    order
        0: nearest, 1: bilinear, 3: cubic convolution, 2, 4 and 5: splines.
    mode, cval
        The values beyond the border: `constant` (`cval`), `edge`, `symmetric`, `reflect` or `wrap`.
    clip
        Whether values beyond those of the image are clipped to them.

    Returns
    -------
    (height, width, K) float64

    Raises
    ------
    EmotiwError
        If there is no such order or mode.
    """
    _require_mode(mode)
    if order not in range(6) or (order in _SPLINES and mode in ("symmetric", "wrap")):
        raise EmotiwError(
            f"no order {order!r} with mode {mode!r}: orders are 0 to 5; symmetric and wrap have no orders 2, 4 and 5"
        )
    values = image.astype(np.float64)
    rows, columns = (_weights(side, wanted, order, mode) for side, wanted in zip(values.shape[:2], sides, strict=True))
    resized: NDArray[np.float64] = np.einsum("ri,ijk,cj->rck", rows, values - cval, columns, optimize=True) + cval
    if not clip or order == 0:
        return resized
    low, high = values.min(), values.max()
    beyond = mode == "constant" and not low <= cval <= high
    return np.where(beyond & (resized == cval), cval, resized.clip(low, high))


def _require_mode(mode: str) -> None:
    if mode not in MODES:
        raise EmotiwError(f"no mode {mode!r}: there are {', '.join(MODES)}")


def _weights(side: int, wanted: int, order: int, mode: str) -> NDArray[np.float64]:
    """Return the weight of each pixel of an axis for each pixel of the resized axis, (wanted, side)."""
    places = (np.arange(wanted) + 0.5) * side / wanted - 0.5
    if order in _SPLINES:
        return _spline_weights(places, side, order, mode)
    begin = np.floor(places + 0.5 if order == 0 else places).astype(int)
    taps = {0: range(1), 1: range(2), 3: range(-1, 3)}[order]
    # The pixel that is read at each place from _TAPS before the first to _TAPS after the last; -1: none, but cval.
    rule: dict[str, Any] = {"constant_values": -1} if mode == "constant" else {"mode": mode}
    read = np.pad(np.arange(side), _TAPS, **rule)
    weights = np.zeros((wanted, side + 1))  # the last column takes what is beyond the border
    for tap in taps:
        pixel = read[begin + tap + _TAPS]
        np.add.at(weights, (np.arange(wanted), pixel), _kernel(np.abs(places - begin - tap), order))
    return weights[:, :side]


def _kernel(distance: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Return the weight of a pixel at a distance; of order 3 Catmull and Rom's."""
    if order == 0:
        return np.ones_like(distance)
    if order == 1:
        return 1 - distance
    near = 1 - 2.5 * distance**2 + 1.5 * distance**3
    far = 2 - 4 * distance + 2.5 * distance**2 - 0.5 * distance**3
    return np.where(distance <= 1, near, far)


def _spline_weights(places: NDArray[np.float64], side: int, order: int, mode: str) -> NDArray[np.float64]:
    from scipy import ndimage

    each = [ndimage.map_coordinates(pixel, [places], order=order, mode=MODES[mode]) for pixel in np.eye(side)]
    return np.stack(each, axis=1)
