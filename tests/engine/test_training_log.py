"""Caffe's training log as events; the lines are BVLC Caffe 1.0.0's own where they do not say otherwise."""

import math
from pathlib import Path

import pytest

from emotiw.engine.caffe.log import events
from emotiw.engine.events import DivergedError, Loss, Snapshot, check_finite

LOG = """\
I1123 15:06:43.361259 19183 caffe.cpp:197] Use CPU.
I1123 15:06:43.361517 19183 solver.cpp:45] Initializing solver from parameters: 
base_lr: 0.01
display: 20
I1123 15:06:43.375095 19183 caffe.cpp:239] Starting Optimization
I1123 15:06:43.375101 19183 solver.cpp:292] Solving vgg_s_small
I1123 15:06:43.488696 19183 solver.cpp:239] Iteration 0 (-1.36869e+38 iter/s, 0.113s/20 iters), loss = 3.71725
I1123 15:06:43.488751 19183 solver.cpp:258]     Train net output #0: loss = 3.71725 (* 1 = 3.71725 loss)
I1123 15:06:43.488773 19183 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I1123 15:07:07.698056 19183 solver.cpp:239] Iteration 20 (7.50469 iter/s, 2.665s/20 iters), loss = 2.8057
I1123 15:07:13.148408 19183 solver.cpp:464] Snapshotting to binary proto file snapshot_iter_40.caffemodel
I1123 15:07:13.165930 19183 sgd_solver.cpp:284] Snapshotting solver state to binary proto file snapshot_iter_40.solverstate
I1123 15:07:13.361545 19183 solver.cpp:239] Iteration 40 (6.80041 iter/s, 2.941s/20 iters), loss = 2.70763
I1123 15:07:13.361553 19183 solver.cpp:347] Iteration 40, Testing net (#0)
I1123 15:07:13.461553 19183 solver.cpp:414]     Test net output #0: accuracy = 0.45
I1123 15:08:16.673945 19183 solver.cpp:464] Snapshotting to binary proto file snapshot_iter_60.caffemodel
I1123 15:08:16.682577 19183 sgd_solver.cpp:284] Snapshotting solver state to binary proto file snapshot_iter_60.solverstate
I1123 15:08:16.722978 19183 solver.cpp:327] Iteration 60, loss = 1.37852
I1123 15:08:16.731459 19183 solver.cpp:332] Optimization Done.
"""  # noqa: E501, W291

FOLDER = Path("runs/vgg_s_small-rgb/pretrain")


def found(text):
    return list(events(text.splitlines(keepends=True), FOLDER))


def test_a_whole_log():
    assert found(LOG) == [
        Loss(0, 3.71725),
        Loss(20, 2.8057),
        Snapshot(40, FOLDER / "snapshot_iter_40.caffemodel"),
        Loss(40, 2.70763),
        Snapshot(60, FOLDER / "snapshot_iter_60.caffemodel"),
        Loss(60, 1.37852),
    ]


@pytest.mark.parametrize(
    ("line", "iteration", "loss"),
    [
        # Caffe before 1.0: no bracket.
        ("I0610 13:39:09.535507 15012 solver.cpp:204] Iteration 100, loss = 1.79176", 100, 1.79176),
        # NVCaffe 0.17: epochs and the share of the images.
        ("I1 9:12 7 solver.cpp:356] Iteration 1200 (12.5 iter/s, 1.6s/20 iter), 3.2/64.0ep, loss = 0.25", 1200, 0.25),
        ("I1123 15:06:43.4 1 solver.cpp:239] Iteration 3 (7.5 iter/s, 0.1s/1 iters), loss = 1.2e-05", 3, 1.2e-05),
        ("I1123 15:06:43.4 1 solver.cpp:239] Iteration 7 (7.5 iter/s, 0.1s/1 iters), loss = inf", 7, math.inf),
    ],
)  # fmt: skip
def test_losses_of_other_builds(line, iteration, loss):
    assert found(line) == [Loss(iteration, loss)]


@pytest.mark.parametrize("word", ["nan", "-nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_stops_a_run(word):
    (event,) = found(f"I1123 15:06:43.4 1 solver.cpp:239] Iteration 9 (7.5 iter/s, 0.1s/1 iters), loss = {word}\n")
    assert not math.isfinite(event.loss)
    with pytest.raises(DivergedError, match=r"^the loss is -?(nan|inf) at iteration 9$"):
        check_finite(event)


def test_a_snapshot_is_reported_with_the_line_after_it():
    lines = LOG.splitlines(keepends=True)
    state = next(number for number, line in enumerate(lines) if "solver state" in line)
    assert found("".join(lines[: state + 1])) == [Loss(0, 3.71725), Loss(20, 2.8057)]
    whole = Snapshot(40, FOLDER / "snapshot_iter_40.caffemodel")
    assert found("".join(lines[: state + 2])) == [Loss(0, 3.71725), Loss(20, 2.8057), whole, Loss(40, 2.70763)]


def test_the_thread_that_reads_ahead_does_not_make_a_snapshot_whole():
    lines = LOG.splitlines(keepends=True)
    state = next(number for number, line in enumerate(lines) if "solver state" in line)
    other = "I1123 15:07:13.2 19186 data_layer.cpp:73] Restarting data prefetching from start.\n"
    assert found("".join([*lines[: state + 1], other])) == [Loss(0, 3.71725), Loss(20, 2.8057)]
    assert found("".join([*lines[: state + 1], other, *lines[state + 1 :]])) == found(LOG)


def test_rates_and_test_scores_are_no_losses():
    assert found("I1123 15:06:43.4 1 sgd_solver.cpp:112] Iteration 0, lr = 0.01\n") == []
    assert found("I1123 15:06:43.4 1 solver.cpp:414]     Test net output #1: loss = 1.9 (* 1 = 1.9 loss)\n") == []
