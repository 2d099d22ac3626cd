from fractions import Fraction
from math import floor

import numpy as np
import pytest
from scipy.stats import binom, binomtest, bootstrap, norm

from emotiw.evaluate.table.published import publications
from emotiw.evaluate.table.statistics import (
    BOOTSTRAP,
    EXACT,
    FEW,
    clopper_pearson,
    effective_size,
    holm,
    interval,
    mcnemar,
    paired,
    shares,
)


@pytest.mark.parametrize(("right", "n"), [(203, 372), (221, 427), (11, 20)])
def test_the_interval_is_that_of_resampled_images(right, n):
    outcomes = np.arange(n) < right
    found = interval(outcomes)
    resampled = bootstrap((outcomes.astype(float),), np.mean, method="percentile", rng=np.random.default_rng(1))
    assert (found.low, found.high) == pytest.approx(tuple(resampled.confidence_interval), abs=1.01 / n)
    assert found.method == BOOTSTRAP
    exact = binomtest(right, n).proportion_ci()  # Clopper and Pearson's, which is wider
    assert exact.low - 1.01 / n <= found.low <= right / n <= found.high <= exact.high + 1.01 / n


@pytest.mark.parametrize(("right", "n"), [(20, 20), (0, 20), (1, 7), (368, 372), (4, 9)])
def test_an_extreme_count_has_the_clopper_pearson_interval(right, n):
    """As by scipy's binomtest, method "exact"; a bootstrap of 20 of 20 would give 100 - 100."""
    exact = binomtest(right, n).proportion_ci(0.95, "exact")
    found = interval(np.arange(n) < right)
    assert (found.low, found.high, found.method) == (pytest.approx(exact.low), pytest.approx(exact.high), EXACT)


def test_clopper_and_pearson_by_hand():
    """Of 20 of 20 the lower end is 0.025 ** (1 / 20), of 0 of 20 the upper one 1 minus that (the rule of three's)."""
    assert clopper_pearson(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert clopper_pearson(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    # Clopper & Pearson 1934 and every table since: 10 of 20 is 0.2720 to 0.7280.
    assert clopper_pearson(10, 20) == (pytest.approx(0.2720, abs=5e-5), pytest.approx(0.7280, abs=5e-5))


def test_the_same_figure_has_the_same_interval():
    assert interval(np.arange(100) < 50) == interval(np.arange(100) >= 50)


def test_intervals_of_random_outcomes_are_binomial_quantiles():
    """Up to one image: with 9999 draws, a tail can end between two counts."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(20, 500))
        outcomes = np.arange(n) < rng.integers(FEW, n - FEW + 1)
        found = interval(outcomes, seed=int(rng.integers(100)))
        assert 0 <= found.low <= outcomes.mean() <= found.high <= 1
        exact = binom.ppf([0.025, 0.975], n, outcomes.mean()) / n
        np.testing.assert_allclose([found.low, found.high], exact, atol=1.01 / n)
        assert interval(rng.permutation(outcomes)) == interval(outcomes)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [interval(rng.random(431) < 0.5175) for _ in range(400)]
    assert 0.9 < np.mean([one.low <= 0.5175 <= one.high for one in found]) < 0.99


def clustered(rng, groups, each):
    """Outcomes of images that are alike within a group: (N,) bool, and the groups."""
    shares = rng.beta(1, 1, groups)
    right = rng.random((groups, each)) < shares[:, None]
    return right.ravel(), [f"movie {group}" for group in range(groups) for _ in range(each)]


def test_an_interval_of_groups_is_scipys_bootstrap_of_a_ratio():
    """scipy.stats.bootstrap, method "percentile", of sum(right) / sum(images) over groups of different sizes."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 20, 40)
    groups = np.repeat(np.arange(40), sizes)
    right = rng.random(sizes.sum()) < rng.beta(1, 1, 40)[groups]
    sums = np.bincount(groups, right)
    scipys = bootstrap(
        (sums, sizes), lambda s, n, axis: s.sum(axis) / n.sum(axis), paired=True, vectorized=True,
        method="percentile", rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    found = interval(right, [f"movie {group}" for group in groups])
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.01)
    alone = interval(right)
    assert found.high - found.low > 1.5 * (alone.high - alone.low)  # images of a group are alike
    shuffled = rng.permutation(len(right))
    again = interval(right[shuffled], [f"movie {groups[place]}" for place in shuffled])
    assert (again.low, again.high) == (found.low, found.high)


def test_groups_of_one_image_are_resampled_as_images():
    right = np.random.default_rng(0).random(60) < 0.4
    assert interval(right, [str(image) for image in range(60)]) == interval(right)


def test_only_intervals_of_groups_cover_the_truth():
    rng = np.random.default_rng(2)
    covered = {True: [], False: []}
    for _ in range(150):
        right, groups = clustered(rng, 30, 20)  # half of all are right
        for known in covered:
            found = interval(right, groups if known else ())
            covered[known].append(found.low <= 0.5 <= found.high)
    assert np.mean(covered[True]) > 0.88
    assert np.mean(covered[False]) < 0.7


def test_an_extreme_count_of_groups_has_the_groups_as_trials():
    """All 20 images of 5 people are right: five trials, with the lower end 0.025 ** (1 / 5)."""
    found = interval(np.ones(20, bool), np.repeat(list("abcde"), 4).tolist())
    assert (found.low, found.high, found.method) == (pytest.approx(0.025 ** (1 / 5)), 1.0, EXACT)


def test_the_method_for_few_groups_depends_only_on_the_accuracy():
    """5 people with 4 images: not on how many have a correct image. 20 people at 1/2 are resampled."""
    people = np.repeat(list("abcde"), 4).tolist()
    spread, bunched = np.tile([True, False, True, False], 5), np.repeat([True, False, True, False, True], 4)
    assert [interval(right, people).method for right in (spread, bunched)] == [EXACT, EXACT]
    many = np.repeat(np.arange(20), 4).astype(str).tolist()
    assert interval(np.tile([True, False], 40), many).method == BOOTSTRAP
    assert interval(np.arange(80) < 19, many).method == EXACT  # 4.75 of 20
    assert interval(np.arange(49) < 5).method == BOOTSTRAP  # 5 of 49, although 49 x (5 / 49) may be rounded


def test_the_effective_number_of_images_of_groups():
    """4 groups of 5 images, 5, 4, 5, 2 right. By hand: share 0.8, the sum of (x - 4) ** 2 is 6, its variance
    4 / 3 x 6 / 400 = 0.02; that of 20 images alone 0.16 / 19; t with 19 degrees of freedom 2.093, with 3 3.182."""
    sums, counts = np.array([5.0, 4, 5, 2]), np.full(4, 5.0)
    size = effective_size(sums, counts)
    assert size == pytest.approx(20 * (0.16 / 19) / 0.02 * (2.093 / 3.1824) ** 2, rel=1e-3)
    right = np.concatenate([np.arange(5) < k for k in (5, 4, 5, 2)])
    found = interval(right, np.repeat(list("abcd"), 5).tolist())
    exact = clopper_pearson(0.8 * size, size)
    assert (found.low, found.high, found.method) == (pytest.approx(exact[0]), pytest.approx(exact[1]), EXACT)
    # For groups that are no more alike than others, the number is at most that of the images; for single images, equal.
    assert effective_size(np.full(10, 4.0) + np.eye(10)[0], np.full(10, 5.0)) == 50
    assert effective_size((np.arange(30) < 4).astype(float), np.ones(30)) == pytest.approx(30)
    assert effective_size(np.array([3.0]), np.array([4.0])) == 1


def test_the_bound_of_a_few_groups_covers_the_truth():
    """8 groups of 10, some better than others, drawn with a share of 0.5."""
    rng = np.random.default_rng(6)
    covered = []
    for _ in range(300):
        right, groups = clustered(rng, 8, 10)
        found = interval(right, groups)
        assert found.method == EXACT
        covered.append(found.low <= 0.5 <= found.high)
    assert np.mean(covered) > 0.92


def test_several_trainings_are_resampled_as_their_mean():
    """By images: scipy's bootstrap of the images' mean correctness over three trainings."""
    rng = np.random.default_rng(4)
    right = (rng.random((3, 200)) < rng.random(200)).mean(axis=0)
    scipys = bootstrap((right,), np.mean, method="percentile", rng=rng).confidence_interval
    found = interval(right)
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.01)


def test_mcnemar_by_hand_and_as_in_the_literature():
    """The exact test is a binomial test on the images on which the two differ: 2 of 10 is 2 (1 + 10 + 45) / 1024."""
    assert mcnemar(2, 8) == mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    # Agresti, Categorical Data Analysis, the approval ratings of the prime minister: 150 to 86; z = -4.17.
    assert mcnemar(86, 150) == pytest.approx(binomtest(86, 236).pvalue)
    assert 2 * norm.sf(4.3) < mcnemar(86, 150) < 2 * norm.sf(4.0)


def test_holm_by_hand_and_by_its_definition():
    """Holm 1979: the smallest of m p values times m, the next times m - 1, never less than the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []
    rng = np.random.default_rng(0)
    for _ in range(50):
        ps = rng.random(rng.integers(1, 9)) ** 3
        corrected = holm(ps)
        for level in (0.01, 0.05, 0.2):  # step down: reject while p is at most level / (remaining tests)
            rejected, left = set(), len(ps)
            for place in np.argsort(ps):
                if ps[place] * left > level:
                    break
                rejected.add(int(place))
                left -= 1
            assert {place for place, p in enumerate(corrected) if p <= level} == rejected


def test_a_pair_without_groups_is_mcnemars():
    first = np.arange(100) < 70
    second = (np.arange(100) >= 10) & (np.arange(100) < 50)
    found = paired(first, second)
    assert (found.first_only, found.second_only, found.grouped) == (30, 0, None)
    assert found.difference == pytest.approx(0.3)
    assert found.p == found.mcnemar == pytest.approx(2 / 2**30)
    differences = first.astype(float) - second
    scipys = bootstrap((differences,), np.mean, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    assert (found.interval.low, found.interval.high) == pytest.approx((scipys.low, scipys.high), abs=0.0101)


def test_a_pair_that_hardly_differs_has_no_narrow_interval():
    """The same predictions for 20 images: a bootstrap would give an interval of width 0."""
    found = paired(np.ones(20, bool), np.ones(20, bool))
    assert (found.difference, found.mcnemar, found.interval.method) == (0, 1, EXACT)
    assert found.interval.high == -found.interval.low == pytest.approx(1 - 0.025 ** (1 / 20))


def test_a_paired_bootstrap_of_groups_is_scipys():
    """Two nets that are right on different movies, with many images but few movies."""
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(24), 30)
    leaning = rng.normal(0.1, 0.4, 24)[groups]
    first = rng.random(720) < np.clip(0.5 + leaning / 2, 0, 1)
    second = rng.random(720) < np.clip(0.5 - leaning / 2, 0, 1)
    found = paired(first, second, [str(group) for group in groups])
    each = np.bincount(groups, first.astype(float) - second) / 30
    scipys = bootstrap((each,), np.mean, method="percentile", rng=np.random.default_rng(1))
    interval_of_groups = scipys.confidence_interval
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(interval_of_groups), abs=0.01)
    draws = scipys.bootstrap_distribution
    assert found.grouped == pytest.approx(2 * min((draws <= 0).mean(), (draws >= 0).mean()), abs=0.01)
    assert found.mcnemar < found.grouped == found.p


def test_few_groups_cannot_show_much():
    """Three movies, all better with the first net: by a sign test p = 2 / 2 ** 3 for any number of images."""
    groups = list("abc") * 100
    first, second = np.ones(300, bool), np.zeros(300, bool)
    found = paired(first, second, groups)
    assert found.mcnemar < 1e-80
    assert found.p == found.grouped == 0.25
    assert paired(first, first, groups).p == 1


def counted(hundredths, n):
    """Every k of n that is this number of hundredths of a percent, rounded half up or truncated, in integers."""
    return [
        k
        for k in range(n + 1)
        if hundredths in (floor(Fraction(10_000 * k, n)), floor(Fraction(10_000 * k, n) + Fraction(1, 2)))
    ]


def test_the_papers_figures_as_shares_of_images():
    """51.75 % is not k/431 but k/427; 54.56 % is a share of the 372 test images, truncated."""
    val, test = publications()[:2]
    assert shares(val.accuracy, [431]) == []
    assert shares(val.accuracy, range(400, 441)) == [(207, 400), (221, 427), (222, 429)]
    assert shares(test.accuracy, [372]) == [(203, 372)]
    assert (floor(1_000_000 * 221 / 427), floor(1_000_000 * 203 / 372)) == (517_564, 545_698)  # truncated, both
    assert [(each.split, each.n, each.protocol) for each in (val, test)] == [
        ("val", "431", "trained on 891 images"),
        ("test", "372", "trained on 891 images"),
    ]
    for figure in (val.accuracy, test.accuracy):
        expected = [(k, n) for n in range(1, 500) for k in counted(int(figure.replace(".", "")), n)]
        assert shares(figure, range(1, 500)) == expected


def test_shares_read_the_digits_as_printed():
    assert shares("50", [3, 4]) == [(2, 4)]
    assert shares("50", [200]) == [(99, 200), (100, 200), (101, 200)]  # 49.5 rounded, 50, 50.5 truncated
    assert shares("50.0", [200]) == [(100, 200)]
    assert shares("0.00", [7]) == [(0, 7)]
    assert shares("100.00", [7]) == [(7, 7)]
