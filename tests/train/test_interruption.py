"""Killed, interrupted and diverging trainings: real ones, in a separate process if they are killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.caffe.engine import CaffeEngine
from emotiw.engine.caffe.find import Caffe
from emotiw.engine.child_process import running
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions
from emotiw.train.progress import read_progress
from emotiw.train.run_folder import Run
from emotiw.train.stage import run_stage

pytestmark = pytest.mark.caffe

_EVERY = 4  # iterations between snapshots

# `emotiw`, with a row of its table changed so that snapshots come quickly.
EMOTIW = f"""
import sys
from emotiw.__main__ import main
from emotiw.train.experiments import Experiment, experiments
row = Experiment("vgg_s_small", "rgb", {{"pretrain": "snapshot: {_EVERY} display: 1", "finetune": ""}})
experiments()[row.row] = row
sys.exit(main(sys.argv[1:]))
"""


def command(sets, runs, iterations):
    arguments = ["pretrain", "vgg_s_small-rgb", "--set", sets / "people", "-o", runs, "--iterations", iterations]
    return [sys.executable, "-P", "-c", EMOTIW, *map(str, arguments)]


def start(sets, runs, iterations):
    """Start it in its own process group, as a terminal does."""
    arguments = command(sets, runs, iterations)
    return running(subprocess.Popen(arguments, process_group=0, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))


def finish(sets, runs, iterations):
    """Run the same command again; it must succeed."""
    done = subprocess.run(command(sets, runs, iterations), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (runs / "vgg_s_small-rgb/pretrain/log.txt").read_text()


def wait_for(condition):
    """Wait for a condition for at most a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes_in(folder):
    """The processes with `folder` as current folder, such as Caffe while it trains."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder.resolve():
                found.append(process)
        except OSError:  # it has ended, or is a zombie
            continue
    return found


def losses(run):
    return [point.iteration for point in read_progress(run.folder / "progress.csv") if point.loss is not None]


def test_a_killed_run_resumes_from_the_last_good_snapshot(sets, tmp_path):
    run = Run(tmp_path / "runs/vgg_s_small-rgb/pretrain")
    with start(sets, tmp_path / "runs", 4000) as process:  # more than it can reach in the meantime
        wait_for(lambda: 2 * _EVERY in losses(run))  # logged after the second snapshot
        assert processes_in(run.folder)
        process.kill()
        process.wait()
    wait_for(lambda: not processes_in(run.folder))
    assert not run.finished

    (last, _), (newest, state) = run.snapshots()[-2:]
    assert newest == last + _EVERY
    state.write_bytes(state.read_bytes()[:-1000])  # as if killed while writing
    (tmp_path / "runs").rename(tmp_path / "moved")
    run = Run(tmp_path / "moved/vgg_s_small-rgb/pretrain")
    log = finish(sets, tmp_path / "moved", newest + 1)
    assert re.findall(r"Resuming from (\S+)", log) == [f"snapshot_iter_{last}.solverstate"]
    assert losses(run) == list(range(newest + 2))
    assert run.snapshots()[-1][0] == newest + 1
    assert run.finished


def test_ctrl_c_leaves_a_snapshot_of_the_current_iteration(sets, tmp_path):
    run = Run(tmp_path / "vgg_s_small-rgb/pretrain")
    with start(sets, tmp_path, 4000) as process:
        wait_for(lambda: 0 in losses(run))
        os.killpg(process.pid, signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = [line for line in complaint.decode().splitlines() if line and not line.startswith("train:")]
    again = "run the same command again to continue from the last snapshot in"
    assert lines == [f"emotiw: interrupted: {again} {run.folder}"]
    assert not processes_in(run.folder)
    assert not run.finished
    reached = run.snapshots()[-1][0]
    assert reached >= max(losses(run))
    log = finish(sets, tmp_path, reached + 2)
    assert re.findall(r"Resuming from (\S+)", log) == [f"snapshot_iter_{reached}.solverstate"]
    assert run.snapshots()[-1][0] == reached + 2
    assert losses(run)[-1] == reached + 2
    assert losses(run) == sorted(set(losses(run)))


def diverge(sets, engine, run, solver, name="people"):
    """Train with settings that diverge; return the one-line error."""
    row = Experiment("vgg_s_small", "rgb", {"pretrain": solver, "finetune": ""})
    with pytest.raises(EmotiwError) as caught:
        run_stage(row, "pretrain", open_set(sets / name), run, engine, TrainOptions(iterations=20))
    assert "\n" not in str(caught.value)
    assert not run.finished
    for path in run.folder.glob("snapshot_*.caffemodel"):
        assert all(np.isfinite(blob).all() for layer in read_weights(path).values() for blob in layer)
    return str(caught.value)


def test_a_diverging_run_stops_and_reports_no_snapshot(sets, engine, tmp_path):
    run = Run(tmp_path / "run")
    line = diverge(sets, engine, run, "base_lr: 1e6")
    pattern = r"run: the loss is (nan|inf) at iteration \d+; try a lower base_lr .*; no snapshot was made$"
    assert re.search(pattern, line)
    assert not list(run.folder.glob("snapshot_*"))


# Four good iterations, then a rate a billion times higher.
LATE = f'snapshot: {_EVERY} lr_policy: "step" stepsize: {_EVERY} gamma: 1e9'


@pytest.mark.parametrize("name", ["people", "expressions"], ids=["by the loss", "or by the scores"])
def test_a_diverging_run_keeps_the_last_good_snapshot(sets, engine, tmp_path, name):
    run = Run(tmp_path / "run")
    line = diverge(sets, engine, run, LATE, name)
    assert line.endswith(f"; the last good snapshot is {run.folder}/snapshot_iter_{_EVERY}.caffemodel")
    assert "nan" in line.lower() or "inf" in line
    assert [iteration for iteration, _ in run.snapshots()] == [_EVERY]
    assert len(list(run.folder.glob("snapshot_*"))) == 2


def test_a_snapshot_with_a_nan_loss_is_not_good(sets, engine, tmp_path):
    """Its weights are finite, but they are from after the wrong step."""
    run = Run(tmp_path / "run")
    line = diverge(sets, engine, run, LATE.replace(f"snapshot: {_EVERY}", f"snapshot: {_EVERY + 1}"))
    assert f"at iteration {_EVERY + 1}; " in line
    assert line.endswith("; no snapshot was made")
    assert not list(run.folder.glob("snapshot_*"))


def test_a_caffe_that_ends_without_a_snapshot(sets, tmp_path):
    program = tmp_path / "caffe"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    line = diverge(sets, CaffeEngine(Caffe(program, program, "a test")), Run(tmp_path / "run"), "")
    assert line.endswith("the engine ended without a good snapshot of iteration 20: see log.txt; no snapshot was made")
