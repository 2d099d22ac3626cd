"""The properties of folds."""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from emotiw.evaluate.cross_validation import folds


def test_images_are_held_out_once_in_stratified_folds():
    for seed in range(20):
        labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(4), [10, 15, 20, 7]))
        drawn = folds(labels, seed=seed)
        assert len(drawn) == 5
        assert sorted(np.concatenate([held_out for _, held_out in drawn])) == list(range(52))
        for known, held_out in drawn:
            assert sorted([*known, *held_out]) == list(range(52))
            counts = np.bincount(labels[held_out], minlength=4)
            assert (np.abs(counts - np.array([2, 3, 4, 1.4])) <= 1).all()


def test_no_group_is_on_both_sides():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels, groups = rng.integers(0, 3, 80), rng.integers(0, 16, 80)
        drawn = folds(labels, [f"movie {group}" for group in groups], seed=seed)
        assert len(drawn) == 5
        for known, held_out in drawn:
            assert len(held_out)
            assert not set(groups[known]) & set(groups[held_out])


def test_groups_of_one_image_are_no_groups():
    labels = np.arange(30) % 3
    expected = StratifiedKFold(5, shuffle=True, random_state=4).split(labels, labels)
    for groups in (None, [str(image) for image in range(30)]):
        for ours, theirs in zip(folds(labels, groups, seed=4), expected, strict=False):
            assert np.array_equal(ours[0], theirs[0])
            assert np.array_equal(ours[1], theirs[1])


def test_the_smallest_class_limits_the_number_of_folds():
    labels = np.array([0] * 9 + [1] * 3)
    assert len(folds(labels)) == 3
    assert len(folds(labels, list("abcdefghijjk"))) == 2
    assert folds(labels, list("abcdefghijjj")) == []  # class 1 has one group
    assert folds(np.array([0] * 9 + [1])) == []
    assert folds(np.zeros(9, int)) == []  # only one class
