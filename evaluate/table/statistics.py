"""Confidence intervals, paired tests, and the counts of images that a printed percentage can be.

Images of one group (a person, a movie) are alike, so groups are resampled if they are known: an interval over single
images would be too narrow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
FEW = 5
"""If fewer units than this are right, or wrong, a bootstrap is too narrow and the exact interval is taken."""
BOOTSTRAP, EXACT, NEWCOMBE, STUDENT = "bootstrap", "Clopper-Pearson", "Newcombe", "Student"

_RESAMPLES = 9999
_AT_ONCE = 1_000_000  # random numbers drawn at a time, which bounds the memory for many units

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a share in [0, 1], or of a difference, and its method, such as `BOOTSTRAP`."""

    low: float
    high: float
    method: str = BOOTSTRAP


@dataclass(frozen=True)
class Paired:
    """Two classifiers on the same images.

    Attributes
    ----------
    difference, interval
        The first one's accuracy less the second one's, in [-1, 1], and its 95 % interval.
    first_only, second_only
        The number of images that only this one classifies correctly.
    mcnemar
        The p of McNemar's exact test, two-sided.
    grouped
        The p of the paired bootstrap of groups, two-sided; None if no groups are known.
    """

    difference: float
    interval: Interval
    first_only: int
    second_only: int
    mcnemar: float
    grouped: float | None

    @property
    def p(self) -> float:
        """The larger p: McNemar's test takes images as independent, and a bootstrap of few groups is too narrow."""
        return self.mcnemar if self.grouped is None else max(self.mcnemar, self.grouped)


def interval(right: NDArray[np.bool_] | Array, groups: Sequence[str] = (), seed: int = 0) -> Interval:
    """Return the 95 % interval of an accuracy: percentile bootstrap, or the exact interval of an extreme count.

    Parameters
    ----------
    right : (N,) bool, or float64 in [0, 1]
        Which images were classified correctly; with several trainings, the share that did so.
    groups
        The group of each image; if empty, each image is a group.

    Returns
    -------
    Interval
        The groups, or the images, are resampled; the training is not repeated, so its spread is not included. If fewer
        than `FEW` of them are right, or wrong (for groups: their number times the share), it is the interval of
        Clopper and Pearson (1934), with the number of images or, for groups, `effective_size` as the number of trials.
        So fewer than 2 `FEW` groups are never resampled.
    """
    sums, counts = _units(right, groups)
    units = len(counts)
    units_right = float(sums.sum()) * (units / float(counts.sum()))  # exact for single images
    if min(units_right, units - units_right) < FEW:
        trials = effective_size(sums, counts)
        return Interval(*clopper_pearson(units_right / units * trials, trials), EXACT)
    if np.isin(sums, (0, 1)).all() and (counts == 1).all():
        # Resampling N outcomes, k of them right, is a binomial draw, which is faster.
        n = len(counts)
        draws = np.random.default_rng(seed).binomial(n, sums.mean(), _RESAMPLES) / n
    else:
        draws = _resampled(sums, counts, seed)
    return _between(draws)


def effective_size(sums: Array, counts: Array) -> float:
    """Return the effective number of independent images in groups, by Korn and Graubard (1998).

    Parameters
    ----------
    sums, counts : (G,) float64
        The number of correct images, and of all images, of each group.

    Returns
    -------
    float
        The number of images, N, divided by the design effect and multiplied by the squared ratio of the t quantiles
        with N - 1 and G - 1 degrees of freedom, because the effect is estimated on G groups; at most N. If all images
        are right, or wrong, or there is one group, the effect cannot be estimated and the result is G, as if all
        images of a group were equal.
    """
    from scipy.stats import t

    images, groups = float(counts.sum()), len(counts)
    share = float(sums.sum()) / images
    if groups == 1 or share in (0, 1):
        return groups
    variance = groups / (groups - 1) * float((((sums - share * counts) / images) ** 2).sum())
    quantiles = t.ppf(1 - (1 - CONFIDENCE) / 2, (images - 1, groups - 1))
    alone = share * (1 - share) / (images - 1)
    return float(images * min(1, alone / variance * (quantiles[0] / quantiles[1]) ** 2)) if variance else groups


def clopper_pearson(right: float, trials: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a share: of 20 of 20, 0.8316 to 1; of 0 of 20, 0 to 0.1684."""
    from scipy.stats import beta

    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if right <= 0 else float(beta.ppf(tail, right, trials - right + 1))
    high = 1.0 if right >= trials else float(beta.ppf(1 - tail, right + 1, trials - right))
    return low, high


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_], groups: Sequence[str] = (), seed: int = 0) -> Paired:
    """Compare two classifiers by which of the same images each classifies correctly, (N,) bool."""
    first_only, second_only = int((first & ~second).sum()), int((second & ~first).sum())
    better, counts = _units(first.astype(float) - second, groups)
    grouped = len(counts) < len(first)
    draws = (
        _resampled(better, counts, seed) if grouped else _drawn_differences(first_only, second_only, len(first), seed)
    )
    gains, losses = int((better > 0).sum()), int((better < 0).sum())
    if gains + losses < FEW:  # the difference of two shares, each with its exact interval
        gain, loss = clopper_pearson(gains, len(counts)), clopper_pearson(losses, len(counts))
        between = Interval(gain[0] - loss[1], gain[1] - loss[0], EXACT)
    else:
        between = _between(draws)
    return Paired(
        difference=float(np.mean(first) - np.mean(second)),
        interval=between,
        first_only=first_only,
        second_only=second_only,
        mcnemar=mcnemar(first_only, second_only),
        grouped=_two_sided(draws, gains + losses) if grouped else None,
    )


def newcombe(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """Return the 95 % interval of the difference of two shares, each k of n independent trials.

    This is Newcombe's (1998) method 10, from two Wilson intervals.

    Examples
    --------
    >>> between = newcombe((56, 70), (48, 80))  # his example (a): 0.0524 to 0.3339
    >>> round(between.low, 4), round(between.high, 4)
    (0.0524, 0.3339)
    """
    from scipy.stats import binomtest

    p, q = first[0] / first[1], second[0] / second[1]
    one, other = (binomtest(*counts).proportion_ci(CONFIDENCE, "wilson") for counts in (first, second))
    below, above = np.hypot(p - one.low, other.high - q), np.hypot(one.high - p, q - other.low)
    return Interval(p - q - float(below), p - q + float(above), NEWCOMBE)


def spread_interval(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the difference of two means, by Student's t with the pooled variance.

    One of them may be a single figure; then the other one's variance is used. Return None if both are, or if the
    variance is 0.

    Examples
    --------
    >>> between = spread_interval([0.60], [0.58, 0.60, 0.62])  # +- 4.3027 x 0.02 x sqrt(1 + 1 / 3)
    >>> round(between.low, 4), round(between.high, 4)
    (-0.0994, 0.0994)
    """
    from scipy.stats import t

    free = len(first) + len(second) - 2
    squares = sum(float(np.sum((np.array(each) - np.mean(each)) ** 2)) for each in (first, second))
    if not free or not squares:
        return None
    half = float(t.ppf((1 + CONFIDENCE) / 2, free)) * np.sqrt(squares / free * (1 / len(first) + 1 / len(second)))
    difference = float(np.mean(first) - np.mean(second))
    return Interval(difference - float(half), difference + float(half), STUDENT)


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p of McNemar's exact test from the numbers of images that only one classifies correctly.

    Examples
    --------
    >>> mcnemar(1, 9)  # 2 (1 + 10) / 2 ** 10
    0.021484375
    """
    from scipy.stats import binomtest

    discordant = first_only + second_only
    return float(binomtest(first_only, discordant).pvalue) if discordant else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values with the correction of Holm (1979) for multiple tests, in their order.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(ps, kind="stable")
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(ps)[order] * np.arange(len(ps), 0, -1)))
    return [float(p) for p in corrected]


def _units(values: NDArray[np.bool_] | Array, groups: Sequence[str]) -> tuple[Array, Array]:
    """Return the sum of the values, and the number of images, of each group; without groups, of each image."""
    if not groups:
        return np.asarray(values, np.float64), np.ones(len(values))
    places = np.unique(np.asarray(groups), return_inverse=True)[1]
    sums = np.bincount(places, np.asarray(values, np.float64))
    return np.asarray(sums, np.float64), np.bincount(places).astype(np.float64)


def _resampled(sums: Array, counts: Array, seed: int) -> Array:
    """Return the means over images of resampled units."""
    rng, units = np.random.default_rng(seed), len(counts)
    most = max(1, _AT_ONCE // units)
    found = []
    for start in range(0, _RESAMPLES, most):
        drawn = rng.integers(units, size=(min(most, _RESAMPLES - start), units))
        found.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(found)


def _drawn_differences(first_only: int, second_only: int, n: int, seed: int) -> Array:
    """Return the differences of accuracy on resampled images, as a multinomial draw."""
    shares = np.array([first_only, second_only, n - first_only - second_only]) / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, _RESAMPLES)
    return np.asarray((drawn[:, 0] - drawn[:, 1]) / n, np.float64)


def _two_sided(draws: Array, informative: int) -> float:
    """Return the two-sided p of no difference, at least the smallest p of a sign test of the groups that differ."""
    tails = (1 + min((draws <= 0).sum(), (draws >= 0).sum())) / (1 + len(draws))
    return float(min(1, max(2 * tails, 2.0 ** (1 - informative))))


def _between(draws: Array) -> Interval:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def shares(percent: str, counts: Iterable[int]) -> list[tuple[int, int]]:
    """Return every (k, n), n in `counts`, for which k of n images is the figure, rounded half up or truncated.

    Parameters
    ----------
    percent : str
        As printed; its decimals are the precision of the rounding.
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
