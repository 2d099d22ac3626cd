"""Invariants of the statistics in random cases; and the order of labels, from a folder's name to the printed name."""

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, binomtest

from emotiw.__main__ import main
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.registry import open_engine
from emotiw.engine.settings import EngineSettings
from emotiw.evaluate.ensemble import METHODS, combine, cross_validated, fit_weights, growth, growth_order, nested
from emotiw.evaluate.scores import Scores, read_scores, write_scores
from emotiw.evaluate.table.statistics import CONFIDENCE, FEW, interval
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions
from emotiw.train.run_folder import Run
from emotiw.train.stage import run_stage

TINY = 1e-12  # below it the likelihood no longer falls


@st.composite
def judged(draw, most_nets=5):
    """(M, N, C) posteriors, certain and undecided ones too, and (N,) labels."""
    nets, images, classes = (draw(st.integers(low, high)) for low, high in ((1, most_nets), (1, 25), (2, 8)))
    # Powers of a number in [0, 1]: from all alike to one that is certain.
    raw = draw(arrays(np.float64, (nets, images, classes), elements=st.floats(0, 1, width=16)))
    raw = raw ** draw(st.sampled_from([0.1, 1, 8])) + 1e-30
    labels = draw(arrays(np.int64, images, elements=st.integers(0, classes - 1)))
    return raw / raw.sum(axis=2, keepdims=True), labels


def likelihood(posteriors, labels):
    return float(np.log(np.maximum(posteriors[np.arange(len(labels)), labels], TINY)).mean())


def accuracy(posteriors, labels):
    return float((posteriors.argmax(axis=1) == labels).mean())


@given(judged())
@pytest.mark.parametrize(("method", "worth"), [("likelihood", likelihood), ("greedy selection", accuracy)])
def test_weights_are_on_the_simplex_and_best_in_sample(method, worth, case):
    posteriors, labels = case
    weights = METHODS[method](posteriors, labels)
    assert weights.shape == (len(posteriors),)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    together = combine(posteriors, weights)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-9)
    assert worth(together, labels) >= max(worth(net, labels) for net in posteriors) - 1e-6


@settings(max_examples=20)
@given(judged(most_nets=3))
def test_cross_validated_posteriors_are_posteriors(case):
    for found in (cross_validated(*case), (nested(*case) or [None])[0]):
        if found is not None:
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


@given(judged())
def test_growth_begins_with_the_best_net_and_ends_with_all(case):
    posteriors, labels = case
    order = growth_order(posteriors, labels)
    grown = growth(posteriors, labels, order)
    assert sorted(order) == list(range(len(posteriors)))
    assert grown[0] == max(accuracy(net, labels) for net in posteriors)
    assert grown[-1] == pytest.approx(accuracy(posteriors[order].sum(axis=0), labels))


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(0, 2**32))
def test_an_interval_ends_at_the_binomials_quantiles(outcome, seed):
    right, n = outcome
    found = interval(np.arange(n) < right, seed=seed)
    assert found.low <= right / n <= found.high
    if min(right, n - right) < FEW:  # with so few images it is the exact interval, never one of zero width
        exact = binomtest(right, n).proportion_ci(CONFIDENCE, "exact")
        assert (found.low, found.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
        assert found.high - found.low > 1 / (n + 1)
        return
    tail = (1 - CONFIDENCE) / 2
    spread = 5 * np.sqrt(tail * (1 - tail) / 9999)  # 5 standard deviations of the rank of a quantile
    for end, quantile in ((found.low, tail), (found.high, 1 - tail)):
        first, last = binom.ppf([quantile - spread, quantile + spread], n, right / n)
        assert first <= end * n + 1e-9
        assert end * n <= last + 1e-9


@given(judged(most_nets=1))
def test_scores_and_their_file(tmp_path_factory, case):
    (posteriors,), labels = case
    names = tuple(f"class {k}" for k in range(posteriors.shape[1]))
    scores = Scores(tuple(f"{k}.png" for k in range(len(labels))), labels, names, posteriors)
    n = len(labels)
    assert scores.confusion.sum() == n
    assert scores.confusion.sum(axis=1).tolist() == np.bincount(labels, minlength=len(names)).tolist()
    assert scores.confusion.sum(axis=0).tolist() == np.bincount(scores.predictions, minlength=len(names)).tolist()
    assert scores.accuracy == pytest.approx(scores.confusion.trace() / n)
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_scores(path, scores)
    again = read_scores(path)
    np.testing.assert_allclose(again.posteriors.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(again.posteriors, posteriors, atol=1e-8)
    assert (again.paths, again.classes, again.labels.tolist()) == (scores.paths, names, labels.tolist())


def test_weights_of_certain_and_wrong_nets():
    """A case that is rare in random draws: a net with posterior 0 for all true classes."""
    posteriors = np.array([[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3])
    np.testing.assert_allclose(fit_weights(posteriors, np.array([0, 0, 0])), [1, 0], atol=1e-6)


# Three colours, each on or off, give seven marks besides black, one for each class.
MARKS = {name: [255 * (number >> k & 1) for k in range(3)] for number, name in enumerate(EMOTIONS, start=1)}


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """Noise with a mark in its middle that encodes the label; the correct name is known only from the folder."""
    folder, rng = tmp_path_factory.mktemp("marked"), np.random.default_rng(0)
    for name, colour in MARKS.items():
        (folder / "faces" / name).mkdir(parents=True)
        for k in range(12):
            image = rng.integers(90, 160, (64, 64, 3), np.uint8)
            image[24:40, 24:40] = colour
            cv2.imwrite(str(folder / f"faces/{name}/{k}.png"), image)
    made = ["prepare", folder / "faces", "-o", folder / "set", "--labels", "emotions", "--size", "64", "-r", "rgb"]
    assert main([*map(str, made), "--val", "0.5"]) == 0
    slower = Experiment("vgg_s_small", "rgb", {"pretrain": "base_lr: 0.003", "finetune": ""})
    run, engine = Run(folder / "runs/vgg_s_small-rgb/pretrain"), open_engine(EngineSettings("torch", gpu="none"))
    run_stage(slower, "pretrain", open_set(folder / "set"), run, engine, TrainOptions(iterations=400))
    return folder


@pytest.mark.caffe
@pytest.mark.parametrize("engine", ["caffe", "torch"])
def test_the_order_of_labels_from_folder_to_printed_name(marked, engine, capsys):
    run = marked / "runs/vgg_s_small-rgb/pretrain"
    argv = ["evaluate", run, "--set", marked / "set", "--engine", engine, "--force"]
    assert main([str(word) for word in argv]) == 0
    scores = read_scores(run / "scores_val.csv")
    assert len(scores.paths) == 42
    assert f"accuracy {scores.accuracy:.2%}" in capsys.readouterr().out
    named = [scores.classes[label] for label in scores.predictions]
    # Labels in another order would match none of these; single mistakes of the net do not matter here.
    assert np.mean([name == path.partition("/")[0] for name, path in zip(named, scores.paths, strict=True)]) >= 0.95
    assert scores.confusion.argmax(axis=1).tolist() == list(range(7))
    handed_in = [tuple(line.split()) for line in (run / "predictions_val.txt").read_text().splitlines()]
    assert sorted(handed_in) == sorted(zip(scores.paths, named, strict=True))
    pictures = [marked / f"faces/{name}/0.png" for name in MARKS]
    argv = ["predict", *pictures, "--aligned", "--model", run, "--engine", engine, "--format", "csv"]
    assert main([str(word) for word in argv]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 7
    for row in rows:
        posteriors = {name: float(row[name]) for name in MARKS}
        assert max(posteriors, key=posteriors.get) == Path(row["image"]).parent.name
