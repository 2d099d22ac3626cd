"""`finetune --force`: the old run stays until the new one has a snapshot."""

import pytest

from emotiw import files
from emotiw.data_prep.prepared_set import open_set
from emotiw.errors import EmotiwError
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions
from emotiw.train.run_folder import Run
from emotiw.train.stage import run_stage

ROW = Experiment("vgg_s_small", "rgb", {"pretrain": "snapshot: 2", "finetune": ""})


@pytest.fixture
def train(sets, tmp_path):
    """Train by a drill; return the run."""

    def carry_out(engine, seed, existing="replace"):
        options = TrainOptions(iterations=4, seed=seed, existing=existing)
        run = Run(tmp_path / "runs/vgg_s_small-rgb/pretrain")
        run_stage(ROW, "pretrain", open_set(sets / "people"), run, engine, options)
        return run

    return carry_out


@pytest.fixture(params=["renameat2", "aside"])
def _way(request, monkeypatch):
    if request.param == "aside":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)


def beside(run):
    return [path.name for path in run.folder.parent.iterdir()]


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("existing", ["replace", "renew"])
def test_the_old_run_stays_until_the_new_one_has_a_snapshot(train, existing, drill):
    run = train(drill(), seed=1)
    engine = drill(watch=lambda: (Run(run.folder).facts().seed, Run(run.folder).finished))
    train(engine, seed=2, existing=existing)
    # Before the first snapshot the folder has the old run.
    assert engine.seen == [(1, True), (1, True), (2, False)]
    assert (run.facts().seed, run.finished) == (2, True)
    assert [iteration for iteration, _ in run.snapshots()] == [2, 4]
    assert beside(run) == ["pretrain"]


@pytest.mark.usefixtures("_way")
def test_a_failure_before_the_first_snapshot_keeps_the_old_run(train, drill):
    run = train(drill(), seed=1)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    for fails_at in (0, 2):
        with pytest.raises(EmotiwError) as caught:
            train(drill(fails_at), seed=2)
        assert str(caught.value).endswith(f"; {run.folder} still has its previous run")
        assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    with pytest.raises(EmotiwError, match=r"another run \(seed 1, not 2\)"):
        train(drill(), 2, "continue")
    assert beside(run) == ["pretrain"], "what the failed one left goes with the next command"


def test_a_run_that_fails_after_its_first_snapshot_can_resume(train, drill):
    run = train(drill(), seed=1)
    with pytest.raises(EmotiwError) as caught:
        train(drill(fails_at=4), seed=2)
    assert str(caught.value).startswith(f"{run.folder}: the loss is nan at iteration 4, logged in {run.folder}; ")
    assert str(caught.value).endswith(f"the last good snapshot is {run.folder}/snapshot_iter_2.caffemodel")
    assert (run.facts().seed, run.finished) == (2, False)
    assert beside(run) == ["pretrain"]
    train(drill(), seed=2, existing="continue")
    assert run.finished
    assert run.facts().marks == ["resumed at 2"]


@pytest.mark.parametrize("existing", ["continue", "renew", "replace"])
@pytest.mark.parametrize("name", ["thesis.txt", "pictures/1.png", "snapshot_iter_1000.caffemodel", "model.caffemodel"])
def test_only_a_run_is_replaced(train, drill, tmp_path, existing, name):
    folder = tmp_path / "runs/vgg_s_small-rgb/pretrain"
    for path in (folder / name, folder / "train_val.prototxt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    with pytest.raises(EmotiwError) as caught:
        train(drill(), 1, existing)
    words = f"{folder} is not a run, so it is not replaced: remove it, or name another output"
    assert (str(caught.value), caught.value.status) == (words, 1)
    assert {path.name for path in folder.iterdir()} == {name.partition("/")[0], "train_val.prototxt"}
    assert [path.read_text() for path in (folder / name, folder / "train_val.prototxt")] == ["mine", "mine"]


@pytest.mark.parametrize("existing", ["continue", "renew", "replace"])
def test_what_a_kill_before_run_json_left_is_replaced(train, drill, monkeypatch, existing):
    """A kill in the writing of `run.json`, then one in the writing of the mean."""

    def killed(run, facts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_facts", killed)
        with pytest.raises(KeyboardInterrupt):
            train(drill(), seed=1)
    run = train(drill(), 1, existing)
    assert run.finished
    for path in run.folder.iterdir():
        path.unlink()
    for name in ("train_val.prototxt", "deploy.prototxt", "solver.prototxt", ".mean.binaryproto.partial"):
        (run.folder / name).touch()
    assert train(drill(), 1, existing).finished
    assert not [path for path in run.folder.iterdir() if path.name.startswith(".")]


def test_what_a_kill_left_is_cleared(train, drill):
    """A kill before or after the exchange of names, or, on a file system without exchange, between two renames."""
    run = train(drill(), seed=1)
    (run.folder.with_name(".pretrain.new")).mkdir()
    train(drill(), seed=1, existing="continue")
    assert beside(run) == ["pretrain"]
    (run.folder.with_name(".pretrain.new")).symlink_to("pretrain")
    train(drill(), seed=1, existing="continue")
    assert beside(run) == ["pretrain"]
    run.folder.rename(run.folder.with_name(".pretrain.old"))
    assert run.finished is False
    assert run.started, "a reader finds it"
    assert run.finished
    run.folder.rename(run.folder.with_name(".pretrain.old"))
    train(drill(), seed=1, existing="continue")
    assert run.finished
    assert beside(run) == ["pretrain"]
