"""Derive the tables (distances -> points in 3-D -> colours), and compare the distances with POT's."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from .distance import DISTANCES, Bits, bit_vectors, matrix
from .embedding import Floats, classical_mds, nonmetric_mds
from .tables import Table

# Scaling does not determine the signs of the axes; these entries of the tables do.
ANCHORS = {
    "lbp": {0: (0, 121, 130), 255: (255, 134, 125), 7: (145, 165, 117)},
    "cyclic_lbp": {0: (255, 172, 132), 255: (0, 174, 133), 1: (220, 142, 105)},
    "hamming_lbp": {0: (70, 12, 116)},
}


@dataclass(frozen=True)
class Derivation:
    """A table derived from its distances.

    Parameters
    ----------
    table : (256, 3) uint8
        RGB of every code.
    iterations : int
        Number of iterations of the scaling.
    stress : float
        Kruskal's stress-1 after the last iteration.
    """

    table: Table
    iterations: int
    stress: float


def derive(mapping: str) -> Derivation:
    """Derive the table of `lbp`, `cyclic_lbp` or `hamming_lbp` from its distances alone; this takes seconds."""
    D = matrix(mapping)
    start = projected_bits() if mapping == "hamming_lbp" else classical_mds(D)
    embedding = nonmetric_mds(D, start)
    return Derivation(_anchored(embedding.points, ANCHORS[mapping]), embedding.iterations, embedding.stress)


def colours(points: Floats) -> Table:
    """Convert points to colours by one offset and one factor for **all** entries, so that distances keep their ratios.

    Parameters
    ----------
    points : (n, 3) float64
        Dimensions 1, 2, 3 become R, G, B.

    Returns
    -------
    (n, 3) uint8
        (Y + |min Y|) * 255 / max, halves rounded away from zero: the widest dimension spans 0 to 255.

    Examples
    --------
    >>> colours(np.array([[-2.0, 0.0, 1.0], [2.0, 0.0, -1.0]])).tolist()
    [[0, 128, 191], [255, 128, 64]]
    """
    lifted = points + abs(points.min())
    return np.asarray(lifted * 255 / lifted.max() + 0.5).astype(np.uint8)


def projected_bits() -> Floats:
    """Return the start for scaling Hamming's distances: the bits projected on three orthonormal directions.

    Classical scaling cannot select three dimensions here, because its eight eigenvalues are equal. The directions are
    arbitrary, with two conditions. A start that a reflection or a rotation leaves unchanged would make the result
    depend on rounding errors, and so would linearly dependent columns. Sines of equal steps are linearly dependent, so
    the steps are raised to a power.  # Deviation D2
    """
    directions, _ = np.linalg.qr(np.sin(np.arange(1.0, 25.0) ** 1.5).reshape(8, 3))
    return np.asarray((bit_vectors() - 0.5) @ directions)


def transport_differences(mapping: str) -> tuple[int, int]:
    """Compare the distances with POT's optimal transport, for all pairs of different codes of equal popcount.

    Parameters
    ----------
    mapping : str
        `lbp` or `cyclic_lbp`.

    Returns
    -------
    (int, int)
        Number of pairs compared (6307), and number of pairs that differ.
    """
    bits = bit_vectors()
    mass = bits.sum(axis=1)
    i, j = np.nonzero(np.triu(mass[:, None] == mass[None], k=1))
    expected = DISTANCES[mapping](bits[i], bits[j], _transport)
    return len(i), int(np.sum(~np.isclose(expected.astype(np.float64), matrix(mapping)[i, j])))


def _transport(x: Bits, y: Bits) -> Floats:
    """Return the cost of moving x to y, (n, bits) of equal mass; a step of one neighbour costs 1."""
    from ot import wasserstein_1d

    mass = x.sum(axis=1)
    places = np.tile(np.arange(x.shape[1], dtype=np.float64)[:, None], len(x))
    return np.asarray(mass * wasserstein_1d(places, places, (x / mass[:, None]).T, (y / mass[:, None]).T, p=1))


def _anchored(points: Floats, anchors: dict[int, tuple[int, int, int]]) -> Table:
    """Return the colours with the signs of the axes for which the anchors are closest to their colours."""
    codes, wanted = list(anchors), np.array(list(anchors.values()), np.int64)
    mirrored = [colours(points * signs) for signs in product((1, -1), repeat=3)]
    return min(mirrored, key=lambda table: int(np.abs(table[codes] - wanted).sum()))
