"""Distances between LBP codes: the authors' two, and Hamming's."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

CODES = 256

Bits = npt.NDArray[np.int64]
"""(..., n) of 0 and 1, neighbour 0 first."""

Emd = Callable[[Bits, Bits], npt.NDArray[np.generic]]


def bit_vectors() -> Bits:
    """Return the (256, 8) bits of the codes, least significant first: element k is neighbour k.

    Examples
    --------
    >>> bit_vectors()[6].tolist()
    [0, 1, 1, 0, 0, 0, 0, 0]
    """
    codes = np.arange(CODES, dtype=np.uint8)[:, None]
    return np.unpackbits(codes, axis=1, bitorder="little").astype(np.int64)


def emd(x: Bits, y: Bits) -> Bits:
    r"""Return the authors' 1-D Earth Mover's Distance of bit vectors.

    .. math:: \mathrm{EMD}(x, y) = \sum_j \left| \sum_{i \le j} x_i - \sum_{i \le j} y_i \right|

    The sums are not normalised, so a difference of mass counts; if the masses are equal, this is the optimal
    transport cost with \|i - j\| as ground distance.

    Parameters
    ----------
    x, y : (..., n) of 0 and 1
        Broadcast against each other.

    Returns
    -------
    (...) int
        At least 0.

    Examples
    --------
    >>> int(emd(np.array([1, 0, 0, 0]), np.array([0, 0, 0, 1])))  # moved by three
    3
    >>> int(emd(np.array([0, 0]), np.array([1, 0])))  # a surplus bit costs its distance to the end
    2
    """
    return np.asarray(np.abs(np.cumsum(x - y, axis=-1)).sum(axis=-1))


def regular(x: Bits, y: Bits, emd: Emd = emd) -> npt.NDArray[np.generic]:
    """Return the distance of `lbp`: EMD(x, y)."""
    return emd(x, y)


def cyclic(x: Bits, y: Bits, emd: Emd = emd) -> npt.NDArray[np.generic]:
    """Return the distance of `cyclic_lbp`: min of EMD(p, q), EMD(rev p, q), EMD(p, rev q), p = [0, x], q = [0, y].

    Despite the name, it compares mirror images: rev reverses all nine elements, and there is no cyclic shift. 56 pairs
    of codes are at distance 0, and the triangle inequality does not hold.
    """
    p, q = (np.insert(bits, 0, 0, axis=-1) for bits in (x, y))
    return np.minimum(np.minimum(emd(p, q), emd(p[..., ::-1], q)), emd(p, q[..., ::-1]))


def hamming(x: Bits, y: Bits) -> npt.NDArray[np.generic]:
    """Return the distance of `hamming_lbp`: the number of bits that differ. It is ours, not the authors'."""
    return np.asarray((x != y).sum(axis=-1))


DISTANCES: dict[str, Callable[..., npt.NDArray[np.generic]]] = {
    "lbp": regular,
    "cyclic_lbp": cyclic,
    "hamming_lbp": hamming,
}
"""The distance of each mapping."""

AUTHORS = ("lbp", "cyclic_lbp")
"""The authors' two mappings, which are based on the Earth Mover's Distance."""


def matrix(mapping: str) -> npt.NDArray[np.uint8]:
    """Return the distances between all codes.

    Parameters
    ----------
    mapping : str
        A key of `DISTANCES`.

    Returns
    -------
    (256, 256) uint8
        Symmetric, zero on the diagonal; [0, 36] for the authors' two, [0, 8] for Hamming's.
    """
    bits = bit_vectors()
    return DISTANCES[mapping](bits[:, None], bits[None]).astype(np.uint8)
