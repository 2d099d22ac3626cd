import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from emotiw.evaluate.statistics import interval


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
