"""A resumed training: with torch it ends bit by bit like an uninterrupted one; with Caffe it is
another experiment, and is marked as such."""

import shutil

import numpy as np
import pytest

from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.base import Loss
from emotiw.engine.registry import open_engine
from emotiw.engine.settings import EngineSettings
from emotiw.engine.torch.engine import TorchEngine
from emotiw.prototxt.formats.blobs import array_of, read_weights
from emotiw.prototxt.formats.messages import PackedState, read_binary
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions
from emotiw.train.progress import Progress, read_progress
from emotiw.train.run_folder import Run
from emotiw.train.stage import run_stage

ROW = Experiment("vgg_s_small", "rgb", {"pretrain": "snapshot: 3 display: 1", "finetune": ""})
ITERATIONS = 10  # of 60 images: the LMDB is read a second time


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.fixture(scope="module")
def torch():
    return open_engine(EngineSettings("torch", gpu="none"))


def train(sets, run, engine, iterations=ITERATIONS):
    run_stage(ROW, "pretrain", open_set(sets / "people"), run, engine, TrainOptions(iterations=iterations))
    return run


def interrupted(sets, run, engine, monkeypatch):
    """Train until a loss after the first snapshot is reported, then kill the engine; return the last snapshot."""

    def follow(self, event):
        if isinstance(event, Loss) and event.iteration == 4:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "__call__", follow)
        with pytest.raises(Interrupted):
            train(sets, run, engine)
    at = run.snapshots()[-1][0]
    assert 3 <= at < ITERATIONS
    assert run.facts().resumed == []
    return at


def ends(run):
    """The final weights and momentum of a run."""
    weights = [blob for blobs in read_weights(run.model).values() for blob in blobs]
    state = read_binary(run.snapshots()[-1][1], PackedState)
    return [*weights, *map(array_of, state.history)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(ends(one), ends(other), strict=True))


@pytest.fixture(scope="module")
def through(sets, torch, tmp_path_factory):
    """An uninterrupted run."""
    return train(sets, Run(tmp_path_factory.mktemp("through") / "run"), torch)


def test_torch_ends_bit_by_bit_like_an_uninterrupted_run(sets, torch, through, tmp_path, monkeypatch, caplog):
    run = Run(tmp_path / "run")
    interrupted(sets, run, torch, monkeypatch)
    train(sets, run, torch)
    assert same(run, through)
    assert run.facts().marks == []
    assert "warning" not in caplog.text
    losses = [[p.loss for p in read_progress(r.folder / "progress.csv") if p.loss is not None] for r in (run, through)]
    assert losses[0] == losses[1]
    kept = {path.stem for path in run.folder.glob("*.randomstate")}
    assert kept == {state.stem for _, state in run.snapshots()}, "pruned with their snapshots"
    train(sets, run, torch, ITERATIONS + 2)  # also a finished one with more iterations
    assert run.facts().marks == []
    assert same(run, train(sets, Run(tmp_path / "further"), torch, ITERATIONS + 2))


@pytest.mark.parametrize("lost", ["no file", "of another snapshot", "damaged"])
def test_without_its_random_state_it_is_another_experiment(sets, torch, through, tmp_path, monkeypatch, lost, caplog):
    run = Run(tmp_path / "run")
    at = interrupted(sets, run, torch, monkeypatch)
    kept = run.folder / f"snapshot_iter_{at}.randomstate"
    if lost == "of another snapshot":
        shutil.copy(through.folder / f"snapshot_iter_{ITERATIONS}.randomstate", kept)
    elif lost == "damaged":
        kept.write_text("{")
    else:
        kept.unlink()
    train(sets, run, torch)
    assert f"resumes at iteration {at}, but not exactly" in caplog.text
    assert run.facts().resumed == [at]
    assert run.facts().marks == [f"resumed at {at}"]
    assert not same(run, through)


@pytest.mark.caffe
@pytest.mark.parametrize("second", ["caffe", "torch"])
def test_either_engine_resumes_caffes_run(sets, engine, torch, tmp_path, monkeypatch, second):
    run = Run(tmp_path / "run")
    at = interrupted(sets, run, engine, monkeypatch)
    train(sets, run, engine if second == "caffe" else torch)
    assert run.facts().resumed == [at]
    assert run.facts().engine == ("caffe" if second == "caffe" else "caffe + torch")
    train(sets, run, engine, ITERATIONS + 1)
    assert run.facts().resumed == [at, ITERATIONS], "one that goes further is resumed where it ended"


@pytest.mark.slow
def test_two_processes_resume_exactly(sets, tmp_path, monkeypatch):
    engine = TorchEngine(gpu="none", ranks=2)
    through, run = train(sets, Run(tmp_path / "through"), engine), Run(tmp_path / "run")
    interrupted(sets, run, engine, monkeypatch)
    train(sets, run, engine)
    assert run.facts().marks == []
    assert same(run, through)
