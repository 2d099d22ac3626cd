"""Caffe's training log as events; the lines are from BVLC Caffe 1.0.0 unless noted."""

import math
from pathlib import Path

import pytest

from emotiw.engine.base import DivergedError, Loss, Snapshot, check_finite
from emotiw.engine.training_log import events, losses

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
        # NVIDIA's 0.16 and 0.17, as a user's log shows them (NVIDIA/caffe, issue 482) ...
        ("I0306 10:27:32.942297 13326 solver.cpp:353] Iteration 2 (3.8928 s), loss = 5.08295", 2, 5.08295),
        ("I0306 10:27:54.2 13326 solver.cpp:347] Iteration 50 (2.25 iter/s, 21.3s/48 iter), loss = 3.2223", 50, 3.2223),
        # ... and with epochs, where its reader has been through the images once: as its solver.cpp puts them together.
        ("I1123 9:12:01.5 7 solver.cpp:356] Iteration 2 (0.2 s), 0.1/64.5ep, loss = 1.9", 2, 1.9),
        ("I1123 9:12:07 7 solver.cpp:350] Iteration 120 (12.5 iter/s, 1.6s/20 iter), 3.2/64ep, loss = 0.25", 120, 0.25),
        ("I1123 9:12:09 7 solver.cpp:350] Iteration 140 (12.5 iter/s, 1.6s/20 iter), 3.7/64ep, loss = nan", 140, None),
        ("I1123 15:06:43.4 1 solver.cpp:239] Iteration 3 (7.5 iter/s, 0.1s/1 iters), loss = 1.2e-05", 3, 1.2e-05),
        ("I1123 15:06:43.4 1 solver.cpp:239] Iteration 7 (7.5 iter/s, 0.1s/1 iters), loss = inf", 7, math.inf),
    ],
)  # fmt: skip
def test_losses_of_other_builds(line, iteration, loss):
    (event,) = found(line)
    assert event.iteration == iteration
    assert math.isnan(event.loss) if loss is None else event.loss == loss


# Composed from the messages in NVIDIA's solver.cpp, sgd_solver.cpp and parallel.cpp (0.17); not a log of a real run.
NVIDIA = """\
I1123 15:06:43.3 100 parallel.cpp:61] P2PManager::Init @ gpu-machine
I1123 15:06:43.3 100 solver.cpp:44] Solver data type: FLOAT
I1123 15:06:44.1 100 solver.cpp:490] Iteration 0, Testing net (#0)
I1123 15:06:44.2 100 solver.cpp:576]     Test net output #0: loss = 1.95 (* 1 = 1.95 loss)
I1123 15:06:44.2 100 solver.cpp:298] [MultiGPU] Initial Test completed in 0.1s
I1123 15:06:44.5 100 solver.cpp:357] Iteration 0 (0.31 s), 0/31ep, loss = 1.94591
I1123 15:06:44.5 100 solver.cpp:375]     Train net output #0: loss = 1.94591 (* 1 = 1.94591 loss)
I1123 15:06:44.5 100 sgd_solver.cpp:180] Iteration 0, lr = 0.001, m = 0.9, lrm = 0.01, wd = 0.0005, gs = 1
I1123 15:06:45.1 100 solver.cpp:351] Iteration 20 (34 iter/s, 0.59s/18 iter), 0.5/31ep, loss = 1.5
I1123 15:06:46.1 100 solver.cpp:684] Snapshotting to binary proto file snapshot_iter_40.caffemodel
I1123 15:06:46.2 100 sgd_solver.cpp:424] Snapshotting solver state to binary proto file snapshot_iter_40.solverstate
I1123 15:06:46.2 107 data_reader.cpp:320] Restarting data pre-fetching
I1123 15:06:46.2 109 blocking_queue.cpp:40] Waiting for data
I1123 15:06:46.3 100 solver.cpp:351] Iteration 40 (33 iter/s, 0.6s/20 iter), 1/31ep, loss = 1.25
I1123 15:06:47.1 100 solver.cpp:447] Iteration 41, loss = 1.125
I1123 15:06:47.1 100 caffe.cpp:260] Optimization Done in 4s
"""


def test_nvidias_log():
    assert found(NVIDIA) == [
        Loss(0, 1.94591),
        Loss(20, 1.5),
        Snapshot(40, FOLDER / "snapshot_iter_40.caffemodel"),
        Loss(40, 1.25),
        Loss(41, 1.125),
    ]


def test_another_gpus_thread_does_not_make_a_snapshot_whole():
    lines = NVIDIA.splitlines(keepends=True)
    state = next(number for number, line in enumerate(lines) if "solver state" in line)
    assert found("".join(lines[: state + 3])) == [Loss(0, 1.94591), Loss(20, 1.5)]
    assert len(found("".join(lines[: state + 4]))) == 4


@pytest.mark.parametrize("word", ["nan", "-nan", "inf", "-inf"])
def test_a_nan_loss_stops_a_run(word):
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


def test_a_prefetch_thread_does_not_complete_a_snapshot():
    lines = LOG.splitlines(keepends=True)
    state = next(number for number, line in enumerate(lines) if "solver state" in line)
    other = "I1123 15:07:13.2 19186 data_layer.cpp:73] Restarting data prefetching from start.\n"
    assert found("".join([*lines[: state + 1], other])) == [Loss(0, 3.71725), Loss(20, 2.8057)]
    assert found("".join([*lines[: state + 1], other, *lines[state + 1 :]])) == found(LOG)


def test_rates_and_test_scores_are_no_losses():
    assert found("I1123 15:06:43.4 1 sgd_solver.cpp:112] Iteration 0, lr = 0.01\n") == []
    assert found("I1123 15:06:43.4 1 solver.cpp:414]     Test net output #1: loss = 1.9 (* 1 = 1.9 loss)\n") == []


@pytest.mark.parametrize("number", ["1.I1127", "1.2.3x", "e"])
def test_a_loss_that_another_line_runs_into_is_none(tmp_path, number):
    line = f"I1126 23:45:58.632098  6706 solver.cpp:239] Iteration 0 (14 iter/s, 0.07s/1 iters), loss = {number}\n"
    assert list(events([line], tmp_path)) == []


def loss(iteration, loss):
    return f"I1123 15:06:43.4 1 solver.cpp:239] Iteration {iteration} (7 iter/s, 2s/20 iters), loss = {loss}"


RESTORED = "I1127 08:07:17.451630 10453 caffe.cpp:235] Resuming from snapshot_iter_%d.solverstate"
BY_TORCH = (
    "I1127 08:07:17.451630 10453 solver.cpp:1] Restoring previous solver status from snapshot_iter_%d.solverstate"
)


@pytest.mark.parametrize(
    ("logged", "left"),
    [
        ([loss(0, 4), loss(20, 3), RESTORED % 20, loss(20, 2.5), loss(40, 2)], {0: 4, 20: 2.5, 40: 2}),
        ([loss(0, 4), loss(20, 3), loss(0, 3.5)], {0: 3.5}),  # a new start
        # Killed after 70, resumed from 40, and displayed every 30 iterations this time.
        ([loss(0, 4), loss(50, 3), loss(70, 2), RESTORED % 40, loss(60, 2.5), loss(90, 1)], {0: 4, 60: 2.5, 90: 1}),
        ([loss(0, 4), loss(50, 3), loss(70, 2), RESTORED % 40], {0: 4}),
        ([loss(0, 4), loss(50, 3), loss(70, 2), BY_TORCH % 40, loss(60, 2.5)], {0: 4, 60: 2.5}),
        ([loss(0, 4), loss(50, 3), RESTORED % 50, loss(60, 2)], {0: 4, 50: 3, 60: 2}),
        ([], {}),
    ],
)
def test_only_losses_of_the_final_path_count(logged, left):
    assert losses(logged) == left


def test_a_snapshot_in_hdf5_is_reported():
    lines = [
        "I0101 00:00:00.000000  7 solver.cpp:474] Snapshotting to HDF5 file s_iter_2.caffemodel.h5",
        "I0101 00:00:00.000000  7 sgd_solver.cpp:296] Snapshotting solver state to HDF5 file s_iter_2.solverstate.h5",
        "I0101 00:00:00.000000  7 solver.cpp:414] Iteration 2, loss = 3",
    ]
    assert list(events(lines, FOLDER)) == [Snapshot(2, FOLDER / "s_iter_2.caffemodel.h5"), Loss(2, 3.0)]
