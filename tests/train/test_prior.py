"""The loss of a net that outputs only the class frequencies, for unequal frequencies, as in SFEW."""

from math import log

import pytest

from emotiw.engine.base import DivergedError, Loss
from emotiw.train.stage import _cure, _prior_loss


class Set:
    """A set's manifest: numbers of training images by class; validation images do not count."""

    def __init__(self, *counts):
        labels = [label for label, count in enumerate(counts) for _ in range(count)]
        self.manifest = [{"label": str(label), "split": "train"} for label in labels]
        self.manifest += [{"label": "0", "split": "val"}] * 50


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((6, 2), 0.75 * log(4 / 3) + 0.25 * log(4)),
        ((5, 5), log(2)),
        ((1, 2, 4, 1), 0.125 * log(8) * 2 + 0.25 * log(4) + 0.5 * log(2)),
        # The 891 training faces of SFEW 2.0, by class: not log(7), which is 1.946.
        ((178, 52, 78, 184, 144, 161, 94), 1.8675),
    ],
)
def test_the_prior_of_unequal_classes_is_their_entropy(counts, expected):
    assert _prior_loss(Set(*counts)) == pytest.approx(expected, abs=1e-4)


class Setup:
    """A net and a solver with only the fields that are read."""

    def __init__(self, train_val, rate):
        self.train_val = train_val
        self.solver = type("Solver", (), {"base_lr": rate})


@pytest.mark.parametrize(("iteration", "at_once"), [(4, True), (50, True), (51, False), (5000, False)])
def test_an_early_divergence_names_input_scale_and_rate(transformed, iteration, at_once):
    error = DivergedError("the loss is nan", Loss(iteration, float("nan")))
    cure = _cure(error, Setup(transformed(), 0.01))
    assert "a lower base_lr (--solver 'base_lr: 0.001', not 0.01)" in cure
    assert ("an input scaled by 1/128 in transform_param, not by 1" in cure) == at_once
    assert "not by 0.25" in _cure(DivergedError("", Loss(1, 9)), Setup(transformed(scale=0.25), 0.01))
    assert "scaled" not in _cure(DivergedError("", Loss(1, 9)), Setup(transformed(scale=0.0078125), 0.01))
