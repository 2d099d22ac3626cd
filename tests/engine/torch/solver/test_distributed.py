"""Two ranks that torchrun starts, on CPUs: they train as one solver whose iter_size is twice theirs."""

import shutil
import sys
from pathlib import Path
from subprocess import PIPE

import lmdb
import numpy as np
import pytest
import torch

from emotiw.engine.child_process import leashed, running
from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.solver.distributed import ranks
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.solver.solver_param import read_solver
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import Datum, SolverState, read_binary

WORKER = Path(__file__).with_name("rank_worker.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]

# With blobs that do not learn, that two layers share, and on which the loss does not depend: DDP must not wait for any.
NET = """
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 mean_value: 120 }
  data_param { source: "faces" batch_size: 3 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 0 }
  param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "again" type: "InnerProduct" bottom: "conv" top: "again" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "fc" bottom: "again" top: "sum" }
layer { name: "idle" type: "InnerProduct" bottom: "conv" top: "idle"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "end" type: "Silence" bottom: "idle" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.05 momentum: 0.9 weight_decay: 0.01 lr_policy: "step" stepsize: 8 gamma: 0.5
clip_gradients: 0.5 max_iter: 20 display: 5 snapshot: 10 snapshot_prefix: "s" test_iter: 2 test_interval: 10
random_seed: 4 iter_size: %d
"""


@pytest.fixture
def folder(tmp_path):
    make_folder(tmp_path)
    return tmp_path


def make_folder(place, iter_size=1, net=NET):
    place.mkdir(exist_ok=True)
    (place / "net.prototxt").write_text(net)
    (place / "solver.prototxt").write_text(SOLVER % iter_size)
    generator = np.random.default_rng(0)
    with lmdb.open(str(place / "faces"), map_size=1 << 24) as opened, opened.begin(write=True) as transaction:
        for k in range(17):
            image = generator.integers(0, 256, (3, 9, 9), np.uint8) // 2 + 30 * (k % 4)
            datum = Datum(channels=3, height=9, width=9, data=image.astype(np.uint8).tobytes(), label=k % 4)
            transaction.put(f"{k:08d}".encode(), datum.SerializeToString())


def in_ranks(folder, plan, *resume):
    """Return torchrun's exit status and our own lines on stderr."""
    env = {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *TORCHRUN, WORKER, folder, plan, *resume]
    with running(leashed([*map(str, command)], stderr=PIPE, env=env)) as child:
        _, noise = child.communicate(timeout=120)
    print(noise.decode())
    return child.returncode, [line for line in noise.decode().splitlines() if line.startswith("emotiw:")]


def by_one(folder, iter_size, resume=None):
    """Return a single solver after the same training, and its log."""
    make_folder(folder, iter_size)
    lines = []
    with Sources(folder, seed=0) as sources:
        solver = Solver(read_solver(Path("solver.prototxt"), folder), folder, sources)
        solver.log = lines.append
        with ranks() as here:
            here.share(solver)  # has no effect
        solver.solve(resume)
    return solver, lines


def assert_same(folder, solver):
    """Each rank has the weights and the history of a solver."""
    for rank in range(2):
        reported = np.load(folder / f"rank{rank}.npz")
        for k, kept in enumerate(solver.update.kept):
            np.testing.assert_allclose(reported[f"kept{k}"], kept.numpy(), rtol=1e-5, atol=1e-6)


def losses(lines):
    """Of the iterations; the last display is of a pass more, of one batch here and of two there."""
    found = [line.split() for line in lines if ", loss = " in line]
    assert [words[1] for words in found][-1] == "20,"
    return {int(words[1][:-1]): float(words[-1]) for words in found[:-1]}


def test_two_ranks_train_as_one_with_twice_the_iter_size(folder):
    assert in_ranks(folder, "train") == (0, [])
    solver, lines = by_one(folder / "one", 2)
    assert_same(folder, solver)
    theirs = (folder / "log0").read_text().splitlines()
    assert losses(theirs) == pytest.approx(losses(lines), abs=1e-5)
    assert set(losses(theirs)) == {0, 5, 10, 15}
    tests = [[line for line in said if "Test net output" in line] for said in (theirs, lines)]
    assert len(tests[0]) == len(tests[1]) == 3
    assert (folder / "log1").read_text() == ""  # only rank 0 tests, writes and logs
    assert sorted(path.name for path in folder.glob("s_*")) == sorted(
        f"s_iter_{iteration}.{kind}" for iteration in (10, 20) for kind in ("caffemodel", "solverstate")
    )
    ours, one = (read_binary(place / "s_iter_20.solverstate", SolverState) for place in (folder, folder / "one"))
    assert (ours.iter, ours.current_step, ours.learned_net) == (one.iter, one.current_step, one.learned_net)
    for blob, other in zip(ours.history, one.history, strict=True):
        np.testing.assert_allclose(blob.data, other.data, rtol=1e-5, atol=1e-6)
    draws = [np.load(folder / f"rank{rank}.npz")["draw"] for rank in range(2)]
    assert not np.allclose(*draws)  # so are the masks of dropout


def test_clipping_bites(tmp_path):
    """The test above would not show this if no gradient were large."""
    make_folder(tmp_path)
    norms = []

    def look():
        given = [one.blob.grad for one in solver.net.learnable if one.blob.grad is not None]
        norms.append(torch.stack(torch._foreach_norm(given)).norm())

    with Sources(tmp_path, seed=0) as sources:
        solver = Solver(read_solver(Path("solver.prototxt"), tmp_path), tmp_path, sources)
        solver.on_gradients_ready.append(look)
        solver.step(20)
    assert sum(norm > 0.5 for norm in norms) > 10


@pytest.mark.slow
def test_only_the_last_of_several_passes_is_shared(folder):
    (folder / "solver.prototxt").write_text(SOLVER % 2)
    assert in_ranks(folder, "train") == (0, [])
    assert_same(folder, by_one(folder / "one", 4)[0])


@pytest.mark.slow
def test_ranks_go_on_from_a_snapshot(folder):
    by_one(folder / "one", 2)
    for path in (folder / "one").glob("s_iter_10.*"):
        shutil.copy(path, folder)
    assert in_ranks(folder, "train", folder / "s_iter_10.solverstate") == (0, [])
    again, lines = by_one(folder / "one", 2, folder / "one" / "s_iter_10.solverstate")
    assert_same(folder, again)
    assert losses((folder / "log0").read_text().splitlines()) == pytest.approx(losses(lines), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ("nan@1", "emotiw: the loss is nan at iteration 3"),
        ("fail@1", "emotiw: rank 1: the disk is full"),
        ("fail@0", "emotiw: rank 0: the disk is full"),
        ("fail", "the disk is full"),
    ],
)
def test_what_ends_one_ends_all_with_one_line(folder, plan, line):
    status, lines = in_ranks(folder, plan)
    assert status == 1
    assert len(lines) == 1
    assert line in lines[0]
    assert not list(folder.glob("s_*"))
    assert not list(folder.glob("rank*.npz"))


@pytest.mark.slow
def test_a_killed_rank_ends_all(folder):
    status, lines = in_ranks(folder, "killed@1")
    assert status == 1
    # Unless torchrun was first to end it.
    assert lines in (
        [],
        ["emotiw: rank 0 lost another rank, which ended without a message: was it killed, or out of memory?"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["stop@0", "stop@1"])
def test_a_request_on_any_rank_stops_all_at_the_same_iteration(folder, plan):
    assert in_ranks(folder, plan) == (0, [])
    assert [int(np.load(folder / f"rank{rank}.npz")["iteration"]) for rank in range(2)] == [4, 4]
    assert sorted(path.name for path in folder.glob("s_*")) == ["s_iter_4.caffemodel", "s_iter_4.solverstate"]
    assert "Optimization stopped early." in (folder / "log0").read_text()


@pytest.mark.slow
def test_a_request_for_a_snapshot_is_the_leaders_to_carry_out(folder):
    assert in_ranks(folder, "snapshot@1") == (0, [])
    assert (folder / "s_iter_4.solverstate").is_file()


@pytest.mark.parametrize("value", ["two", "-1", ""])
def test_an_environment_that_is_none_of_torchruns(monkeypatch, value):
    monkeypatch.setenv("WORLD_SIZE", value)
    with pytest.raises(EmotiwError, match=f"WORLD_SIZE is '{value}' in the environment"), ranks():
        pass


def test_one_rank_is_none_of_several(monkeypatch):
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    with ranks("cpu") as here:
        assert (here.rank, here.count, here.device, here.leads) == (0, 1, torch.device("cpu"), True)
    assert not torch.distributed.is_initialized()


def test_a_rank_without_a_gpu_says_so(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(EmotiwError, match=r"there are 2 GPUs for more ranks: .*--nproc-per-node 2"), ranks("cuda"):
        pass
