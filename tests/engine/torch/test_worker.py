"""The worker by hand, as `caffe train`: paths, log, HDF5."""

import re
import subprocess
import sys

import pytest

NET = """layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } data_filler { value: 1 } data_filler { value: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = """net: "nets/net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 display: 1 snapshot: 2
snapshot_prefix: "out/s" snapshot_format: HDF5 # \u00e9
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("nets", "out", "solvers"):
        (tmp_path / name).mkdir()
    (tmp_path / "nets/net.prototxt").write_text(NET)
    (tmp_path / "solvers/solver.prototxt").write_text(SOLVER, encoding="latin-1")
    return tmp_path


def train(folder, *options):
    command = [sys.executable, "-m", "emotiw.engine.torch.worker", "solvers/solver.prototxt", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_paths_are_relative_to_the_current_folder_and_times_have_six_decimals(folder):
    done = train(folder)
    assert done.returncode == 0, done.stderr
    names = ["s_iter_2.caffemodel.h5", "s_iter_2.solverstate.h5", "s_iter_2.solverstate.randomstate"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == names
    # What Caffe's parse_log.py reads: the month and day, the time to the microsecond, "Solving" before all iterations.
    times = [re.match(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \w+\] ", line) for line in done.stderr.splitlines()]
    assert len(times) > 8
    assert all(times)
    assert done.stderr.index("] Solving ") < done.stderr.index("] Iteration 0, ")
    resumed = train(folder, "--resume", "out/s_iter_2.solverstate.h5")
    assert resumed.returncode == 0, resumed.stderr
    assert "Restoring previous solver status from out/s_iter_2.solverstate.h5" in resumed.stderr
    begun = train(folder, "--weights", "out/s_iter_2.caffemodel.h5")
    assert begun.returncode == 0, begun.stderr
    losses = [float(loss) for loss in re.findall(r"Iteration \d+, loss = (\S+)", done.stderr + begun.stderr)]
    assert losses[3] == losses[2] < losses[0]
    lost = train(folder.joinpath("solvers"))
    assert (lost.returncode, "solvers/solver.prototxt: no such file" in lost.stderr) == (1, True)
