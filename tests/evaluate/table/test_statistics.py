from fractions import Fraction
from math import floor

import numpy as np
import pytest
from scipy.stats import binom, binomtest, bootstrap

from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.statistics import interval, shares


@pytest.mark.parametrize(("right", "n"), [(203, 372), (221, 427), (11, 20), (20, 20), (0, 20)])
def test_the_interval_is_that_of_resampled_images(right, n):
    outcomes = np.arange(n) < right
    low, high = interval(outcomes)
    if 0 < right < n:
        resampled = bootstrap((outcomes.astype(float),), np.mean, method="percentile", rng=np.random.default_rng(1))
        assert (low, high) == pytest.approx(tuple(resampled.confidence_interval), abs=1.01 / n)
    exact = binomtest(right, n).proportion_ci()  # Clopper and Pearson's, which is wider
    assert exact.low - 1.01 / n <= low <= right / n <= high <= exact.high + 1.01 / n


def test_the_same_figure_has_the_same_interval():
    assert interval(np.arange(100) < 50) == interval(np.arange(100) >= 50)


def test_intervals_of_random_outcomes_are_the_binomials_quantiles():
    """In steps of an image, but for one: the draws are 9999, and a tail can end between two counts."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(5, 500))
        outcomes = rng.random(n) < rng.random()
        low, high = interval(outcomes, int(rng.integers(100)))
        assert 0 <= low <= outcomes.mean() <= high <= 1
        exact = binom.ppf([0.025, 0.975], n, outcomes.mean()) / n
        np.testing.assert_allclose([low, high], exact, atol=1.01 / n)
        assert interval(rng.permutation(outcomes)) == interval(outcomes)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        low, high = interval(rng.random(431) < 0.5175)
        covered.append(low <= 0.5175 <= high)
    assert 0.9 < np.mean(covered) < 0.99


def counted(hundredths, n):
    """Every k of n that is so many hundredths of a percent, rounded half up or truncated, by whole numbers."""
    return [
        k
        for k in range(n + 1)
        if hundredths in (floor(Fraction(10_000 * k, n)), floor(Fraction(10_000 * k, n) + Fraction(1, 2)))
    ]


def test_what_the_papers_figures_are_shares_of():
    """51.75 % is no k/431, but of 427; 54.56 % is of the 372 test images, truncated."""
    paper = publications()[0]
    assert shares(paper.val, [431]) == []
    assert shares(paper.val, range(400, 441)) == [(207, 400), (221, 427), (222, 429)]
    assert shares(paper.test, [372]) == [(203, 372)]
    assert (floor(1_000_000 * 221 / 427), floor(1_000_000 * 203 / 372)) == (517_564, 545_698)  # truncated, both
    assert (paper.count("train"), paper.count("val"), paper.count("test")) == (891, 431, 372)
    for figure in (paper.val, paper.test):
        expected = [(k, n) for n in range(1, 500) for k in counted(int(figure.replace(".", "")), n)]
        assert shares(figure, range(1, 500)) == expected


def test_shares_read_the_digits_as_printed():
    assert shares("50", [3, 4]) == [(2, 4)]
    assert shares("50", [200]) == [(99, 200), (100, 200), (101, 200)]  # 49.5 rounded, 50, 50.5 truncated
    assert shares("50.0", [200]) == [(100, 200)]
    assert shares("0.00", [7]) == [(0, 7)]
    assert shares("100.00", [7]) == [(7, 7)]
