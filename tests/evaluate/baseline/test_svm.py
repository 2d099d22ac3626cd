"""The SVM with precomputed kernels, against scikit-learn's own kernels."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.svm import SVC

from emotiw.evaluate.baseline.svm import COSTS, KERNELS, Choice, choose, posteriors


def blobs(seed, classes=4, images=60, width=30, spread=1.0):
    """Random points around a centre for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = np.random.default_rng(0).random((classes, width))
    return (centres[labels] + rng.normal(0, spread, (images, width))).astype(np.float32), labels


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_answers_are_those_of_scikit_learns_own_machine(kernel, classes):
    train, labels = blobs(1, classes)
    others, _ = blobs(2, classes, 80)
    gamma = 1 / (train.shape[1] * train.var())
    answers = posteriors(Choice(kernel, 10.0, gamma, 5, 0.5), train, labels, others, classes)
    theirs = SVC(kernel=kernel, C=10.0, gamma="scale", break_ties=True).fit(train, labels)
    values = theirs.decision_function(others)
    near = np.abs(np.diff(np.sort(values.reshape(80, -1), axis=1)[:, -2:])).ravel() > 1e-3 if classes > 2 else (
        np.abs(values) > 1e-3
    )  # fmt: skip
    assert near.sum() > 70
    assert np.array_equal(answers.argmax(axis=1)[near], theirs.predict(others)[near])
    assert len(set(answers.argmax(axis=1))) == classes
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert answers.min() > 0


def test_a_class_without_training_images_is_never_predicted():
    train, labels = blobs(1, 3)
    answers = posteriors(Choice("linear", 1.0, 1.0, 5, 0.5), train, np.array([1, 4, 5])[labels], train, 7)
    assert answers.shape == (60, 7)
    assert (answers[:, [0, 2, 3, 6]] == 0).all()
    assert (answers[:, [1, 4, 5]] > 0).all()


def test_the_choice_equals_that_of_a_second_cross_validation():
    for seed in range(3):
        train, labels = blobs(seed, spread=1.5)
        groups = [f"group {k // 8}" for k in range(60)]
        choice = choose(train, labels, groups)
        cv = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        right = {
            (kernel, C): cross_val_score(
                SVC(kernel=kernel, C=C, gamma="scale", break_ties=True), train, labels, groups=groups, cv=cv
            ).mean()
            for kernel in KERNELS
            for C in COSTS
        }
        assert choice.folds == 5
        assert choice.accuracy == pytest.approx(right[choice.kernel, choice.C], abs=0.02)
        assert choice.accuracy == pytest.approx(max(right.values()), abs=0.02)
        assert choice.gamma == pytest.approx(1 / (30 * train.var()), rel=1e-5)
        assert choose(train, labels, groups) == choice


def test_a_group_is_in_one_part_of_a_fold():
    """Each group has its own feature and one label: without groups, cross-validation would be perfect."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 6)
    train = (4 * np.eye(20)[group] + rng.normal(0, 0.3, (120, 20))).astype(np.float32)
    labels = group % 2
    assert choose(train, labels, [str(image) for image in range(120)]).accuracy > 0.95
    assert choose(train, labels, [str(one) for one in group]).accuracy < 0.7


def test_of_many_images_a_part_with_whole_groups_is_taken(monkeypatch):
    train, labels = blobs(0, spread=1.5)
    groups = [f"group {k // 5}" for k in range(60)]
    whole = choose(train, labels, groups)
    monkeypatch.setattr("emotiw.evaluate.baseline.svm.CHOICE_IMAGES", 30)
    part = next(StratifiedGroupKFold(2, shuffle=True, random_state=0).split(train, labels, groups))[1]
    chosen = choose(train, labels, groups)
    assert (whole.images, chosen.images) == (60, len(part))
    assert 20 <= len(part) <= 40
    assert chosen == choose(train[part], labels[part], [groups[k] for k in part])


def test_nothing_to_choose_on():
    train, labels = blobs(1, 3, 9)
    assert choose(train, labels, ["one"] * 9) is None
    assert choose(train, np.array([0] * 8 + [1]), [str(k) for k in range(9)]) is None


def test_equal_features_are_no_fault():
    choice = choose(np.ones((20, 5), np.float32), np.arange(20) % 2, [str(k) for k in range(20)])
    assert choice.kernel == "linear"
