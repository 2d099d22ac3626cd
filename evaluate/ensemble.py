"""The weighted average of several nets' posteriors.

The authors do not say how they found their weights.  # Deviation D8
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .cross_validation import folds

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

# Avoids an infinite log-likelihood for a posterior of 0.
_TINY = 1e-12


def combine(posteriors: Array, weights: Array) -> Array:
    """Return the (N, C) average of (M, N, C) posteriors with (M,) weights that sum to 1."""
    return np.tensordot(weights, posteriors, axes=1)


def fit_weights(posteriors: Array, labels: Labels) -> Array:
    r"""Return the weights with the largest likelihood of the labels.

    .. math:: \max_w \sum_n \log \sum_m w_m p_{mn} \quad w_m \ge 0, \sum_m w_m = 1

    where p_mn is net m's posterior of image n's true class. The problem is convex, so its maximum is global.

    Parameters
    ----------
    posteriors : (M, N, C) float64
    labels : (N,) int

    Returns
    -------
    (M,) float64
        Non-negative, summing to 1.
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


def select_greedily(posteriors: Array, labels: Labels, rounds: int = 50) -> Array:
    """Return the weights of greedy forward selection with replacement, by accuracy (Caruana et al., ICML 2004).

    Each round adds the net, chosen before or not, that makes the average most accurate; at ties, the one with the
    largest likelihood of the labels. A net's weight is its share of the rounds up to the best one.

    Parameters
    ----------
    posteriors : (M, N, C) float64
    labels : (N,) int

    Returns
    -------
    (M,) float64
        Non-negative, summing to 1; never less accurate in-sample than the best single net.
    """
    images = np.arange(len(labels))
    total, chosen = np.zeros(posteriors.shape[1:]), np.zeros(len(posteriors))
    best, weights = -1.0, chosen
    for _ in range(rounds):
        candidates = total + posteriors
        accuracies = (candidates.argmax(axis=2) == labels).mean(axis=1)
        likelihoods = np.log(np.maximum(candidates[:, images, labels], _TINY)).mean(axis=1)
        added = np.lexsort((likelihoods, accuracies))[-1]
        total = candidates[added]
        chosen[added] += 1
        if accuracies[added] > best:
            best, weights = accuracies[added], chosen.copy()
    return np.asarray(weights / weights.sum(), np.float64)


def uniform(posteriors: Array, labels: Labels) -> Array:
    """Return (M,) equal weights; the labels are ignored."""
    return np.full(len(posteriors), 1 / len(posteriors))


# It is not known which of these the authors used, if any, so all are printed.
METHODS: Mapping[str, Callable[[Array, Labels], Array]] = {
    "likelihood": fit_weights,
    "greedy selection": select_greedily,
}
_CHOICES = {**METHODS, "uniform average": uniform}


def cross_validated(
    posteriors: Array,
    labels: Labels,
    find: Callable[[Array, Labels], Array] = fit_weights,
    most: int = 5,
    seed: int = 0,
    groups: Sequence[str] = (),
) -> Array | None:
    """Return (N, C) posteriors with weights that were fitted without the image itself or others of its group.

    This estimates the accuracy of one method without bias; in-sample weights overestimate accuracy. None if a class has
    fewer than two images, or groups, so that no folds can be made.
    """
    combined, drawn = np.empty(posteriors.shape[1:]), folds(labels, groups, most, seed)
    for known, held_out in drawn:
        weights = find(posteriors[:, known], labels[known])
        combined[held_out] = combine(posteriors[:, held_out], weights)
    return combined if drawn else None


def nested(
    posteriors: Array, labels: Labels, most: int = 5, seed: int = 0, groups: Sequence[str] = ()
) -> tuple[Array, list[str]] | None:
    """Return (N, C) posteriors with a method and weights that were chosen without the image itself.

    This estimates the accuracy of the whole procedure without bias: the best of several cross-validated methods again
    overestimates accuracy. In each outer fold the method (one of METHODS, or the uniform average) is chosen by
    cross-validation within the known images, by accuracy, at ties by likelihood; then its weights are fitted on all of
    them, for the images held out. Groups are kept together in all folds.

    Returns
    -------
    ((N, C) float64, list of str) or None
        The posteriors, and the method chosen in each outer fold. None if folds cannot be made.
    """
    combined, chosen = np.empty(posteriors.shape[1:]), []
    for known, held_out in folds(labels, groups, most, seed):
        inside, truth = posteriors[:, known], labels[known]
        inner = [groups[image] for image in known] if groups else ()
        quality = {}
        for name, find in _CHOICES.items():
            tried = cross_validated(inside, truth, find, most, seed, inner)
            if tried is None:
                return None
            quality[name] = _quality(tried, truth)
        best = max(quality, key=lambda name: quality[name])
        combined[held_out] = combine(posteriors[:, held_out], _CHOICES[best](inside, truth))
        chosen.append(best)
    return (combined, chosen) if chosen else None


def best_members(
    posteriors: Array, labels: Labels, most: int = 5, seed: int = 0, groups: Sequence[str] = ()
) -> Array | None:
    """Return (N, C) posteriors of the best single net, chosen for each fold on the images outside it.

    Compare an ensemble by `nested` on the same folds with this: choosing the best net on the images that it is tested
    on overestimates accuracy. None if folds cannot be made.
    """
    chosen, drawn = np.empty(posteriors.shape[1:]), folds(labels, groups, most, seed)
    for known, held_out in drawn:
        chosen[held_out] = posteriors[best_member(posteriors[:, known], labels[known])][held_out]
    return chosen if drawn else None


def best_member(posteriors: Array, labels: Labels) -> int:
    """Return the most accurate of (M, N, C) nets, at ties the one with the larger likelihood."""
    return max(range(len(posteriors)), key=lambda net: _quality(posteriors[net], labels))


def _quality(posteriors: Array, labels: Labels) -> tuple[float, float]:
    """Return accuracy and mean log-likelihood of (N, C) posteriors."""
    given = np.maximum(posteriors[np.arange(len(labels)), labels], _TINY)
    return float((posteriors.argmax(axis=1) == labels).mean()), float(np.log(given).mean())


def growth_order(posteriors: Array, labels: Labels) -> list[int]:
    """Return the nets in the order in which each next one improves the uniform average most."""
    left, total, order = list(range(len(posteriors))), np.zeros(posteriors.shape[1:]), []
    while left:
        accuracies = [((total + posteriors[net]).argmax(axis=1) == labels).mean() for net in left]
        order.append(left.pop(int(np.argmax(accuracies))))
        total = total + posteriors[order[-1]]
    return order


def growth(posteriors: Array, labels: Labels, order: list[int]) -> list[float]:
    """Return the accuracy of the uniform average of the first 1, 2, ... nets of `order`."""
    totals = np.cumsum(posteriors[order], axis=0)
    return [float(accuracy) for accuracy in (totals.argmax(axis=2) == labels).mean(axis=1)]
