"""How sure a figure is: bootstrap intervals; and which counts of images it can be."""

from collections.abc import Iterable
from decimal import Decimal
from math import ceil

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_RESAMPLES = 9999


def interval(right: NDArray[np.bool_], seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap interval (percentile, 95 %) of an accuracy.

    Parameters
    ----------
    right : (N,) bool
        Which images were named rightly.

    Returns
    -------
    (low, high)
        In [0, 1]. The images are resampled; the training is not repeated, so its own spread is not in it.
    """
    # Resampling N outcomes of which k are right is a binomial draw: no image need be touched.
    n, accuracy = len(right), right.mean()
    draws = np.random.default_rng(seed).binomial(n, accuracy, _RESAMPLES) / n
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def shares(percent: str, counts: Iterable[int]) -> list[tuple[int, int]]:
    """Return every (k, n), n of `counts`, for which k of n images is the figure, rounded half up or truncated.

    Parameters
    ----------
    percent : str
        As printed: its digits say how it was cut.
    counts : iterable of int
        Numbers of images.

    Examples
    --------
    >>> shares("51.75", range(400, 441))  # 51.7500 exactly, 51.7564 truncated, 51.7483 rounded
    [(207, 400), (221, 427), (222, 429)]
    """
    figure = Decimal(percent)
    unit = Decimal(1).scaleb(int(figure.as_tuple().exponent))
    low, high = (figure - unit / 2) / 100, (figure + unit) / 100
    return [(k, n) for n in counts for k in range(ceil(low * n), ceil(high * n))]
