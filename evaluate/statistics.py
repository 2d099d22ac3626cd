"""How sure a figure is: bootstrap intervals."""

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
