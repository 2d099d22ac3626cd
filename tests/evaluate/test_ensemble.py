"""Ensemble weights, on random posteriors and by brute force."""

import itertools

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from emotiw.evaluate import ensemble
from emotiw.evaluate.ensemble import (
    METHODS,
    best_member,
    best_members,
    combine,
    cross_validated,
    fit_weights,
    growth,
    growth_order,
    nested,
    select_greedily,
    uniform,
)


def likelihood(posteriors, labels, weights):
    """The mean logarithm of the average's posteriors of the true classes."""
    given = combine(posteriors, np.asarray(weights))[np.arange(len(labels)), labels]
    return np.log(np.maximum(given, 1e-12)).mean()


def draw(rng, nets=None, images=None, classes=None):
    """Random posteriors, from nearly certain to nearly uniform, that lean to the true class."""
    nets, images, classes = nets or rng.integers(2, 8), images or rng.integers(5, 80), classes or rng.integers(2, 8)
    labels = rng.integers(0, classes, images)
    posteriors = rng.dirichlet(np.full(classes, rng.choice([0.2, 1, 5])), (nets, images)) + 1e-9
    posteriors[:, np.arange(images), labels] += rng.uniform(0, 1, (nets, images)) * rng.uniform(0, 1, (nets, 1))
    return posteriors / posteriors.sum(axis=2, keepdims=True), labels


def test_an_average_by_hand():
    two = np.array([[[0.75, 0.25]], [[0.25, 0.75]]])
    assert combine(two, np.array([0.25, 0.75])).tolist() == [[0.375, 0.625]]
    assert combine(two, np.array([1.0, 0.0])).tolist() == [[0.75, 0.25]]


def test_fitted_weights_are_on_the_simplex_and_likeliest():
    for seed in range(60):
        posteriors, labels = draw(np.random.default_rng(seed))
        nets = len(posteriors)
        weights = fit_weights(posteriors, labels)
        assert weights.shape == (nets,)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        others = [*np.eye(nets), np.full(nets, 1 / nets)]
        best = max(likelihood(posteriors, labels, other) for other in others)
        assert likelihood(posteriors, labels, weights) >= best - 1e-7


@pytest.mark.parametrize("nets", [2, 3])
def test_weights_are_those_of_brute_force(nets):
    step = 0.01
    grid = [
        np.array([*some, 1 - sum(some)])
        for some in itertools.product(np.arange(0, 1 + step / 2, step), repeat=nets - 1)
    ]
    grid = [np.clip(weights, 0, 1) for weights in grid if weights[-1] > -step / 2]
    for seed in range(4):
        posteriors, labels = draw(np.random.default_rng(seed), nets, images=40)
        best = max(grid, key=lambda weights: likelihood(posteriors, labels, weights))
        weights = fit_weights(posteriors, labels)
        assert likelihood(posteriors, labels, weights) >= likelihood(posteriors, labels, best) - 1e-9
        np.testing.assert_allclose(weights, best, atol=1.5 * step)


def test_weights_satisfy_the_conditions_of_the_maximum():
    """At the maximum of a concave function on the simplex, a net's slope is 1 where its weight is not 0, else less."""
    for seed in range(30):
        posteriors, labels = draw(np.random.default_rng(seed), images=60)
        weights = fit_weights(posteriors, labels)
        given = posteriors[:, np.arange(len(labels)), labels]
        slopes = (given / (weights @ given)).mean(axis=1)
        assert (slopes < 1.002).all()
        np.testing.assert_allclose(slopes[weights > 0.01], 1, atol=2e-3)


def test_a_perfect_net_gets_the_weight():
    rng = np.random.default_rng(0)
    posteriors, labels = draw(rng, nets=4, images=50, classes=7)
    posteriors[2] = np.eye(7)[labels]
    np.testing.assert_allclose(fit_weights(posteriors, labels), [0, 0, 1, 0], atol=1e-4)


def test_one_net_and_equal_nets_and_certain_nets():
    posteriors, labels = draw(np.random.default_rng(1), nets=3, images=30, classes=7)
    assert fit_weights(posteriors[:1], labels).tolist() == [1.0]
    same = np.stack([posteriors[0]] * 3)
    np.testing.assert_allclose(combine(same, fit_weights(same, labels)), posteriors[0], rtol=1e-12)
    certain = np.eye(7)[(labels + np.arange(3)[:, None]) % 7]  # the first net is always right, the others never
    np.testing.assert_allclose(fit_weights(certain, labels), [1, 0, 0], atol=1e-6)
    weights = fit_weights(certain[1:], labels)  # no net is ever right: any weights are optimal
    assert weights.sum() == pytest.approx(1)


def test_cross_validated_posteriors_use_no_image_of_their_own():
    """A change of an image's posteriors and label changes the weights fitted with it, but not its own."""
    posteriors, labels = draw(np.random.default_rng(2), nets=2, images=40, classes=2)
    before = cross_validated(posteriors, labels)
    lie = posteriors.copy()
    lie[:, 0] = [[1e-6, 1 - 1e-6], [1 - 1e-6, 1e-6]] if labels[0] == 0 else [[1 - 1e-6, 1e-6], [1e-6, 1 - 1e-6]]
    after = cross_validated(lie, labels)

    def share(combined, nets):
        """The first net's weight in the combined posteriors of an image."""
        return (combined[:, 0] - nets[1, :, 0]) / (nets[0, :, 0] - nets[1, :, 0])

    weights, changed = share(before, posteriors), share(after, lie)
    assert changed[0] == pytest.approx(weights[0], abs=1e-6)
    assert np.sum(np.abs(changed - weights) > 1e-3) >= 20  # the other folds' weights were fitted with it
    assert fit_weights(posteriors, labels)[0] != pytest.approx(weights[0], abs=1e-6)


def test_cross_validation_by_its_definition():
    """Each image's weights are those fitted on all images of other folds, refitted here."""
    posteriors, labels = draw(np.random.default_rng(3), nets=2, images=50, classes=3)
    combined = cross_validated(posteriors, labels, most=5)
    weights = (combined[:, 0] - posteriors[1, :, 0]) / (posteriors[0, :, 0] - posteriors[1, :, 0])
    folds = np.unique(weights.round(5))
    assert len(folds) == 5
    for fold in folds:
        known = np.abs(weights - fold) > 1e-4
        assert 38 <= known.sum() <= 42
        assert fit_weights(posteriors[:, known], labels[known])[0] == pytest.approx(fold, abs=1e-4)
    assert np.array_equal(combined, cross_validated(posteriors, labels, most=5))  # the same folds every time


def test_too_few_images_of_a_class_cannot_be_cross_validated():
    posteriors, labels = draw(np.random.default_rng(4), nets=2, images=20, classes=3)
    labels[:] = 0
    labels[:2] = 1
    combined = cross_validated(posteriors, labels)  # two folds; class 2 has no image at all
    assert combined is not None
    np.testing.assert_allclose(combined.sum(axis=1), 1)
    labels[0] = 0
    assert cross_validated(posteriors, labels) is None


def test_in_sample_weights_overestimate_accuracy():
    """On random nets, fitted weights have a higher accuracy in-sample."""
    gains = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        posteriors, labels = rng.dirichlet(np.ones(3), (8, 40)), rng.integers(0, 3, 40)
        in_sample = combine(posteriors, fit_weights(posteriors, labels))
        honest = cross_validated(posteriors, labels)
        rows = np.arange(40)
        gains.append(np.log(in_sample[rows, labels]).mean() - np.log(honest[rows, labels]).mean())
    assert np.mean(gains) > 0.02


def test_greedy_selection_by_hand():
    """Net 0 classifies images 0 and 1 correctly, net 1 image 2 with higher posteriors: together all three."""
    posteriors = np.array([[[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]], [[0.45, 0.55], [0.45, 0.55], [0.1, 0.9]]])
    np.testing.assert_allclose(select_greedily(posteriors, np.array([0, 0, 1])), [0.5, 0.5])


def test_greedy_weights_are_on_the_simplex_and_beat_single_nets():
    for seed in range(40):
        posteriors, labels = draw(np.random.default_rng(seed))
        weights = select_greedily(posteriors, labels)
        assert weights.shape == (len(posteriors),)
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)
        best = (posteriors.argmax(axis=2) == labels).mean(axis=1).max()
        assert (combine(posteriors, weights).argmax(axis=1) == labels).mean() >= best


@pytest.mark.parametrize("find", METHODS.values(), ids=METHODS)
def test_the_order_of_nets_and_of_images_does_not_matter(find):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        posteriors, labels = draw(rng, images=60)
        nets, images = rng.permutation(len(posteriors)), rng.permutation(60)
        weights = find(posteriors, labels)
        again = find(posteriors[nets][:, images], labels[images])
        ours, theirs = (likelihood(posteriors[nets], labels, w) for w in (weights[nets], again))
        assert theirs == pytest.approx(ours, abs=1e-6)


def test_nested_cross_validation_by_its_definition():
    """Reimplemented: folds by scikit-learn, and within each the more accurate method by inner folds."""
    methods, chosen_anywhere = {**METHODS, "uniform average": uniform}, set()
    for seed in range(8):
        posteriors, labels = draw(np.random.default_rng(seed), nets=4, images=70, classes=3)
        combined, chosen = nested(posteriors, labels)
        folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels))
        assert len(chosen) == len(folds)
        for (known, held_out), name in zip(folds, chosen, strict=True):
            right = {}
            for method, find in methods.items():
                inner = np.empty((len(known), 3))
                for some, rest in StratifiedKFold(5, shuffle=True, random_state=0).split(known, labels[known]):
                    weights = find(posteriors[:, known[some]], labels[known[some]])
                    inner[rest] = combine(posteriors[:, known[rest]], weights)
                right[method] = (inner.argmax(axis=1) == labels[known]).sum()
            assert right[name] == max(right.values())
            weights = methods[name](posteriors[:, known], labels[known])
            np.testing.assert_array_equal(combined[held_out], combine(posteriors[:, held_out], weights))
        chosen_anywhere |= set(chosen)
    assert len(chosen_anywhere) > 1


def test_images_held_out_choose_neither_method_nor_weights():
    posteriors, labels = draw(np.random.default_rng(5), nets=3, images=60, classes=3)
    before, chosen = nested(posteriors, labels)
    for fold, (_, held_out) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels)):
        lie = posteriors.copy()
        lie[:, held_out] = np.eye(3)[(labels[held_out] + np.arange(3)[:, None]) % 3]  # the first net always right
        after, chosen_then = nested(lie, labels)
        assert chosen_then[fold] == chosen[fold]
        for image in held_out:  # the weights that combined the image, from either
            weights, *_ = np.linalg.lstsq(posteriors[:, image].T, before[image], rcond=None)
            np.testing.assert_allclose(after[image], weights @ lie[:, image], atol=1e-6)


def test_nested_is_unbiased_unlike_the_best_of_several_methods():
    """On random nets with 3 classes the accuracy is 1/3, but the best method's figure is above that."""
    honest, best = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        posteriors, labels = rng.dirichlet(np.ones(3), (4, 45)), np.arange(45) % 3
        honest.append((nested(posteriors, labels)[0].argmax(axis=1) == labels).mean())
        tried = [cross_validated(posteriors, labels, find) for find in (*METHODS.values(), uniform)]
        best.append(max((one.argmax(axis=1) == labels).mean() for one in tried))
    assert np.mean(best) > 1 / 3 + 0.01
    assert np.mean(honest) < np.mean(best) - 0.01


def test_nested_cross_validation_needs_folds_within_folds():
    posteriors, labels = draw(np.random.default_rng(6), nets=2, images=20, classes=2)
    labels[:] = 0
    labels[:2] = 1
    assert cross_validated(posteriors, labels) is not None
    assert nested(posteriors, labels) is None  # one image of class 1 is left to choose on
    labels[:4] = 1
    assert nested(posteriors, labels) is not None
    labels[:4] = [1, 0, 0, 0]
    assert nested(posteriors, labels) is None


def test_growth_ends_with_the_uniform_average_of_all():
    for seed in range(20):
        posteriors, labels = draw(np.random.default_rng(seed))
        order = growth_order(posteriors, labels)
        assert sorted(order) == list(range(len(posteriors)))
        found = growth(posteriors, labels, order)
        alone = (posteriors.argmax(axis=2) == labels).mean(axis=1)
        assert (order[0], found[0]) == (alone.argmax(), alone.max())
        two = [(posteriors[order[0]] + posteriors[net]).argmax(axis=1) == labels for net in order[1:]]
        assert found[1] == max(right.mean() for right in two)
        assert found[-1] == (posteriors[order].sum(axis=0).argmax(axis=1) == labels).mean()


def movies(seed, count=12, each=10):
    """Posteriors of nets that are right on some movies only, labels, and the movies."""
    rng = np.random.default_rng(seed)
    posteriors, labels = draw(rng, nets=3, images=count * each, classes=3)
    names = [f"movie {movie}" for movie in rng.permutation(np.repeat(np.arange(count), each))]
    return posteriors, labels, names


def test_no_image_takes_part_in_scoring_another_of_its_movie():
    """Recompute with scikit-learn's StratifiedGroupKFold; wrong labels in a movie do not change its own figures."""
    posteriors, labels, names = movies(3)
    drawn = list(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, names))
    combined = cross_validated(posteriors, labels, groups=names)
    for known, held_out in drawn:
        assert not {names[image] for image in known} & {names[image] for image in held_out}
        weights = fit_weights(posteriors[:, known], labels[known])
        np.testing.assert_array_equal(combined[held_out], combine(posteriors[:, held_out], weights))
    _, chosen = nested(posteriors, labels, groups=names)
    for fold, (_, held_out) in enumerate(drawn):
        lie = posteriors.copy()
        lie[:, held_out] = np.eye(3)[(labels[held_out] + np.arange(3)[:, None]) % 3]
        assert nested(lie, labels, groups=names)[1][fold] == chosen[fold]
    assert not np.array_equal(combined, cross_validated(posteriors, labels))  # other folds than without


def test_nested_folds_keep_movies_together_inside_too(monkeypatch):
    posteriors, labels, names = movies(4)
    real, seen = ensemble.folds, []

    def noted(labels, groups, most, seed):
        drawn = real(labels, groups, most, seed)
        seen.extend(not {groups[k] for k in known} & {groups[k] for k in held} for known, held in drawn)
        return drawn

    monkeypatch.setattr(ensemble, "folds", noted)
    nested(posteriors, labels, groups=names)
    assert len(seen) > 25
    assert all(seen)


def test_the_best_member_is_chosen_on_other_images():
    for seed in range(10):
        posteriors, labels, names = movies(seed)
        for groups, kind in ((names, StratifiedGroupKFold), ((), StratifiedKFold)):
            found = best_members(posteriors, labels, groups=groups)
            for known, held_out in kind(5, shuffle=True, random_state=0).split(labels, labels, groups or None):
                right = [(net[known].argmax(axis=1) == labels[known]).mean() for net in posteriors]
                nets = [net for net, one in enumerate(posteriors) if np.array_equal(one[held_out], found[held_out])]
                assert [right[net] for net in nets] == [max(right)]
    posteriors, labels, _ = movies(0)
    assert best_member(posteriors, labels) == (posteriors.argmax(axis=2) == labels).mean(axis=1).argmax()
    labels[:] = 0
    assert best_members(posteriors, labels) is None


def test_the_best_member_chosen_on_the_same_images_overestimates():
    """Eight random nets, three classes: the accuracy is 1/3, and more for the best net on the same images."""
    honest, flattered = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        posteriors, labels = rng.dirichlet(np.ones(3), (8, 45)), np.arange(45) % 3
        honest.append((best_members(posteriors, labels).argmax(axis=1) == labels).mean())
        flattered.append((posteriors.argmax(axis=2) == labels).mean(axis=1).max())
    assert np.mean(flattered) > 1 / 3 + 0.06
    assert abs(np.mean(honest) - 1 / 3) < 0.03
