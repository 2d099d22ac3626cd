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
_TAPS = 3  # how many pixels beyond the border an interpolation may read


def smoothed(image: Array, sides: tuple[int, int], mode: str = "constant", cval: float = 0) -> Array:
    """Smooth an (H, W, K) image by a Gaussian along the axes that shrink, in the image's own type.

    Raises
    ------
    EmotiwError
        If there is no such mode.
    """
    from scipy import ndimage

    _require_mode(mode)
    shrink = np.array(image.shape[:2]) / sides
    if not (shrink > 1).any():
        return image
    sigma = (*np.maximum(0, (shrink - 1) / 2), 0)
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode=MODES[mode], cval=cval))


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
