"""The weighted average of several nets' posteriors.

How the authors found their weights is not known.  # Deviation D8
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

# A posterior of 0 must not make the likelihood's logarithm infinite.
_TINY = 1e-12


def combine(posteriors: Array, weights: Array) -> Array:
    """Return the (N, C) average of (M, N, C) posteriors by (M,) weights that sum to 1."""
    return np.tensordot(weights, posteriors, axes=1)


def fit_weights(posteriors: Array, labels: Labels) -> Array:
    r"""Return the weights that make the labels likeliest.

    .. math:: \max_w \sum_n \log \sum_m w_m p_{mn} \quad w_m \ge 0, \sum_m w_m = 1

    where p_mn is the posterior that net m gives to image n's true class. The problem is convex: there is one maximum.

    Parameters
    ----------
    posteriors : (M, N, C) float64
    labels : (N,) int

    Returns
    -------
    (M,) float64
        Not negative, summing to 1.
    """
    from scipy.optimize import minimize

    p = np.maximum(posteriors[:, np.arange(len(labels)), labels], _TINY)
    uniform = np.full(len(p), 1 / len(p))
    found = minimize(
        lambda w: -np.log(w @ p).mean(),
        uniform,
        jac=lambda w: -(p / (w @ p)).mean(axis=1),
        method="SLSQP",
        options={"ftol": 1e-10},
        bounds=[(0, 1)] * len(p),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
    )
    weights = np.clip(found.x, 0, None)
    return np.asarray(weights / weights.sum(), np.float64)


def cross_validated(posteriors: Array, labels: Labels, folds: int = 5, seed: int = 0) -> Array | None:
    """Return (N, C) posteriors in which no image took part in finding the weights that scored it.

    The honest figure: weights found and judged on the same images flatter. None where a class has fewer than two
    images, so that no folds can be made.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels)
    folds = min(folds, int(counts[counts > 0].min()))
    if folds < 2:
        return None
    combined = np.empty(posteriors.shape[1:])
    for known, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels):
        weights = fit_weights(posteriors[:, known], labels[known])
        combined[held_out] = combine(posteriors[:, held_out], weights)
    return combined
