"""Trainings by the torch engine in separate processes: the same guarantees as by the real Caffe's engine."""

import os
import signal

import pytest

from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.base import DivergedError, Loss, Snapshot
from emotiw.engine.registry import open_engine
from emotiw.engine.settings import PRECISIONS, EngineSettings
from emotiw.engine.torch.engine import TorchEngine
from emotiw.engine.torch.precision import BY_NAME
from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.formats.messages import SolverParameter, format_text, read_text
from emotiw.train.experiments import experiment
from emotiw.train.net_setup import set_up
from emotiw.train.run_folder import Run


@pytest.fixture
def solver(sets, tmp_path):
    """Return a function that writes a run of a small net on drawn faces, with a change of the solver's fields."""

    def write(**fields):
        setup = set_up(experiment("vgg_s_small-rgb"), "pretrain", open_set(sets / "people"))
        for name, value in fields.items():
            setattr(setup.solver, name, value)
        setup.write(tmp_path)
        return tmp_path / "solver.prototxt"

    return write


@pytest.fixture(scope="module")
def torch_engine():
    return TorchEngine("none")


def test_a_training_reports_its_losses_and_snapshots(solver, torch_engine, tmp_path):
    seen = []
    torch_engine.train(solver(max_iter=4, snapshot=2), seen.append)
    reported = [("Loss", 0), ("Loss", 1), ("Snapshot", 2), ("Loss", 2), ("Loss", 3), ("Snapshot", 4), ("Loss", 4)]
    assert [(type(event).__name__, event.iteration) for event in seen] == reported
    assert seen[-2].weights == tmp_path / "snapshot_iter_4.caffemodel"
    assert [iteration for iteration, _ in Run(tmp_path).snapshots()] == [2, 4]
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert all(line.startswith("I") for line in log)
    assert log[-1].endswith("] Optimization Done.")


@pytest.mark.caffe
def test_either_engine_resumes_from_the_others_snapshot(solver, torch_engine, engine, tmp_path):
    seen = []
    torch_engine.train(solver(max_iter=2, display=1), seen.append)
    engine.train(solver(max_iter=4, display=1), seen.append, resume=tmp_path / "snapshot_iter_2.solverstate")
    torch_engine.train(solver(max_iter=6, display=1), seen.append, resume=tmp_path / "snapshot_iter_4.solverstate")
    assert [event.iteration for event in seen if isinstance(event, Snapshot)] == [2, 4, 6]
    # A restored run reports the loss of its iteration again; each starts with the set's first batch.
    reported = {}
    torch_engine.train(
        solver(max_iter=1, display=1),
        lambda event: reported.setdefault(type(event), event),
        weights=tmp_path / "snapshot_iter_6.caffemodel",
    )
    assert reported[Loss].loss < seen[0].loss


def test_a_nan_loss_ends_it(solver, torch_engine, tmp_path):
    seen = []
    with pytest.raises(DivergedError, match=r"the loss is nan at iteration [1-9]"):
        torch_engine.train(solver(max_iter=20, base_lr=1e9, snapshot=1, display=20), seen.append)
    assert [event.iteration for event in seen if isinstance(event, Loss)] == [0]


def test_ctrl_c_leaves_a_snapshot(solver, torch_engine, tmp_path):
    def interrupt(event):
        if isinstance(event, Loss) and event.iteration == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        torch_engine.train(solver(max_iter=1_000_000, snapshot=1_000_000, display=1), interrupt)
    ((iteration, _),) = Run(tmp_path).snapshots()
    assert 1 <= iteration < 1_000_000
    assert "Optimization stopped early." in (tmp_path / "log.txt").read_text()


def test_what_fails_is_one_line(solver, torch_engine, tmp_path):
    path = solver(max_iter=2)
    param = read_text(path, SolverParameter)
    param.type = "Newton"
    path.write_text(format_text(param))
    with pytest.raises(
        EmotiwError, match=r"^training by torch failed in .*: no solver of type 'Newton': there are [\w, ]+$"
    ):
        torch_engine.train(path, lambda event: None)


def test_which_gpus(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert [TorchEngine(gpu).gpus for gpu in ("", "none", "1", "2,0", "all")] == [[0], [], [1], [2, 0], [0, 1, 2]]
    with pytest.raises(EmotiwError, match=r"^--gpu 0,3: torch .* finds 3 GPUs here$"):
        TorchEngine("0,3").require()
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert TorchEngine("").gpus == []
    for gpu in ("0", "all"):
        with pytest.raises(EmotiwError, match=rf"^--gpu {gpu}: torch .* finds no GPUs here$"):
            TorchEngine(gpu).require()
    for gpu in ("one", "0;1", "-1", "0,"):
        with pytest.raises(UsageError, match=f"^--gpu {gpu}: it is 0, or 0,1, or all, or none$"):
            TorchEngine(gpu)


@pytest.mark.parametrize(
    ("gpu", "visible", "handed_on"),
    [
        ("1", "2,3", "3"),
        ("0,1", "GPU-a,GPU-b", "GPU-a,GPU-b"),
        ("2", "", "2"),
        ("all", "5,6,7", "5,6,7"),
        ("", "4,5", None),
    ],
)
def test_gpus_are_those_of_the_ones_that_are_visible(monkeypatch, gpu, visible, handed_on):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert TorchEngine(gpu)._environment(1).get("CUDA_VISIBLE_DEVICES") == handed_on


def test_cores_are_shared_by_the_ranks_of_a_step(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6")  # a step's, from Snakemake
    assert TorchEngine("none")._environment(2)["OMP_NUM_THREADS"] == "3"
    assert TorchEngine("none", threads=4)._environment(2)["OMP_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in TorchEngine("none")._environment(1)


def test_a_worker_by_itself_waits_for_no_ranks_of_a_clusters_job(solver, torch_engine, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}.items():
        monkeypatch.setenv(name, value)
    seen = []
    torch_engine.train(solver(max_iter=1), seen.append)
    assert isinstance(seen[-2], Snapshot)


def test_an_engine_is_named_by_all_it_needs(caffe):
    assert open_engine().title == "caffe"
    assert open_engine().settings == EngineSettings(caffe=str(caffe.program))
    tf32 = EngineSettings("torch", gpu="none", precision="tf32")
    assert open_engine(tf32).title == "torch tf32"
    assert open_engine(tf32).settings == tf32
    assert open_engine(EngineSettings("torch", gpu="none")).title == "torch"
    with pytest.raises(UsageError, match="--precision bf16 needs --engine torch"):
        open_engine(EngineSettings(precision="bf16"))
    with pytest.raises(UsageError, match="--caffe here does not apply to --engine torch"):
        open_engine(EngineSettings("torch", "here"))


def test_without_torch_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("emotiw.extras.find_spec", lambda name: None)
    with pytest.raises(EmotiwError, match=r"^--engine torch needs PyTorch: in the clone, pip install '\.\[torch\]'$"):
        open_engine(EngineSettings("torch"))


def test_precisions_are_the_ones_that_can_be_named():
    assert tuple(BY_NAME) == PRECISIONS


@pytest.mark.slow
def test_several_ranks_stop_together_with_a_snapshot_and_go_on(solver, tmp_path):
    """Two ranks on the CPU, by torchrun, as two GPUs would be."""
    both = TorchEngine("none", ranks=2)

    def interrupt(event):
        if isinstance(event, Loss) and event.iteration == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        both.train(solver(max_iter=1_000_000, snapshot=1_000_000, display=1), interrupt)
    ((iteration, state),) = Run(tmp_path).snapshots()
    seen = []
    both.train(solver(max_iter=iteration + 2, display=1), seen.append, resume=state)
    assert [event.iteration for event in seen if isinstance(event, Snapshot)] == [iteration + 2]
    path = solver(max_iter=2)
    path.write_text(path.read_text().replace('type: "SGD"', "") + 'type: "Newton"\n')
    with pytest.raises(
        EmotiwError, match=r"^training by torch failed in .*: no solver of type 'Newton': there are [\w, ]+$"
    ):
        both.train(path, lambda event: None)


@pytest.mark.gpu
def test_a_gpu_trains(solver, tmp_path):
    seen = []
    TorchEngine("0").train(solver(max_iter=2), seen.append)
    assert [type(event).__name__ for event in seen] == ["Loss", "Loss", "Snapshot", "Loss"]
