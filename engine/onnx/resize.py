"""pycaffe's resize as two matrix products: `preprocessing.resize`, in a graph, for images of any size.

With order 1, `skimage.transform.resize` is separable, and linear in the image less its smallest value:

    Y = R (X - min X) C' + min X

where X is a plane of H x W, Y one of S x S, and the rows of R, (S, H), and C, (S, W), are the weights of each result's
pixels: bilinear, zero beyond the border, smoothed by a Gaussian if the axis shrinks. The graph computes both matrices
from the size of the image, so the result does not depend on the rules of a runtime's own Resize.
"""

import numpy as np

from .graph import Value

TRUNCATE = 4
"""scipy.ndimage.gaussian_filter ends after this many standard deviations."""


def resized(image: Value, size: int) -> Value:
    """Return an image of any size as planes of one size, by pycaffe's rule.

    Parameters
    ----------
    image : (H, W, 3) float32
        In [0, 255]; H and W are known to the runtime only.
    size
        Side of the result in pixels.

    Returns
    -------
    (3, size, size) float32
        In [0, 255].
    """
    planes = image.then("Transpose", perm=[2, 0, 1])
    least = planes.then("ReduceMin", axes=[0, 1, 2], keepdims=0) + _corner(planes) * 0
    sides = planes.then("Shape").typed(np.int64).cast(np.float32)
    rows, columns = (axis_weights(sides.cut([0], [axis], [axis + 1]), size) for axis in (1, 2))
    narrow = (planes - least).then("MatMul", columns.then("Transpose", perm=[1, 0]))
    return rows.then("MatMul", narrow) + least


def _corner(planes: Value) -> Value:
    """Return the first pixel, (3, 1, 1). If there is none, as of a face too small to be mapped, the runtime fails here.

    Otherwise all posteriors would be NaN, whose argmax is the first class.
    """
    first = planes.graph.constant(np.array([0], np.int64))
    return planes.then("Gather", first, axis=1).then("Gather", first, axis=2)


def axis_weights(side: Value, size: int) -> Value:
    r"""Return the weights by which the pixels of an axis are added to those of the resized axis.

    With H pixels in the image and S in the result, pixel i of the result lies at c = ((2i + 1) H - S) / 2S, which is
    the fraction t after pixel m = floor(c). Its weight for pixel j is

    .. math:: w_{ij} = (1 - t)\, g(m - j) + t\, g(m + 1 - j)

    without the first term if m < 0, and without the second if m + 1 = H; g is the Gaussian. The numerator is exact in
    float32 as long as 2 S H < 2^24, so up to 32767 pixels at S = 256.

    Parameters
    ----------
    side : (1,) float32
        H.
    size
        S.

    Returns
    -------
    (S, H) float32
    """
    pixels = _range(side * 0, side)
    odd = side.graph.constant(2 * np.arange(size, dtype=np.float32)[:, None] + 1)
    numerator = odd * side - size
    first = (numerator / (2 * size)).then("Floor")
    second = first + 1
    fraction = (numerator - first * (2 * size)) / (2 * size)  # c - m would have lost digits
    gaussian = _Gaussian(side, size)
    one = (-fraction + 1) * (first >= 0).cast(np.float32) * gaussian.at(first - pixels)
    other = fraction * (second < side).cast(np.float32) * gaussian.at(second - pixels)
    return one + other


class _Gaussian:
    """g(d), proportional to exp(-d^2 / 2 s^2) for |d| <= floor(4 s + 1/2), with a sum of 1; s = (H / S - 1) / 2.

    If the axis does not shrink, s is 0, and g is 1 at 0.
    """

    def __init__(self, side: Value, size: int) -> None:
        surplus = (side - size).then("Relu")  # 2 S s
        self._radius = ((surplus * TRUNCATE + size) / (2 * size)).then("Floor")
        # The radius already excludes all but d = 0 if the surplus is 0; it must not be a divisor, too.
        self._width = surplus.then("Max", side.graph.constant(np.array([1], np.float32)))
        self._scale = 2 * size**2
        window = self._bell(_range(-self._radius, self._radius + 1))
        self._sum = window.then("ReduceSum", side.graph.constant(np.array([0], np.int64)))

    def at(self, distance: Value) -> Value:
        """Return g of distances in pixels."""
        near = distance.then("Abs") <= self._radius
        return self._bell(distance) * near.cast(np.float32) / self._sum

    def _bell(self, distance: Value) -> Value:
        ratio = distance / self._width
        return (-(ratio * ratio) * self._scale).then("Exp")


def _range(begin: Value, end: Value) -> Value:
    """Return the numbers from `begin` up to but not including `end`, each (1,) float32."""
    step, axis = begin.graph.constant(np.array(1, np.float32)), begin.graph.constant(np.array([0], np.int64))
    return begin.then("Squeeze", axis).then("Range", end.then("Squeeze", axis), step)
