"""Run folders: run.json and good snapshots."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.inputs import Input
from emotiw.prototxt.formats.blobs import array_of, read_weights
from emotiw.prototxt.formats.messages import NetParameter, SolverState, read_binary, write_binary
from emotiw.train.run_folder import Facts, Run, find_runs

FACTS = Facts(
    row="vgg_s-rgb",
    stage="pretrain",
    net="vgg_s",
    representation="rgb",
    engine="caffe",
    engine_version="1.0.0",
    set_folder="sets/people",
    set_digest="d" * 64,
    classes=["a", "b"],
    recipe="e" * 64,
    seed=1,
    iterations=40,
    weights="",
    weights_sha256="",
    emotiw="0.1.0",
)


def test_facts_survive_their_file(tmp_path):
    Run(tmp_path).write_facts(FACTS)
    assert Run(tmp_path).facts() == FACTS
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 2}, ["seed 1, not 2"]),
        ({"set_digest": "f" * 64, "classes": ["x"]}, ["set_digest dddddddddddd, not ffffffffffff"]),
        ({"weights": "w", "weights_sha256": "f" * 64}, ["weights_sha256 none, not ffffffffffff"]),
        ({"recipe": "f" * 64}, ["recipe eeeeeeeeeeee, not ffffffffffff"]),
        ({"set_folder": "elsewhere", "iterations": 80, "engine_version": "1.1", "emotiw": "9"}, []),
    ],
)
def test_differences_that_make_another_run(change, words):
    assert FACTS.differences(replace(FACTS, **change)) == words


def test_lmdbs_in_another_order_make_another_run():
    lmdb = Input("LMDB of rgb, train", "sets/people/rgb/train_lmdb", 1, 2, 3, "a" * 64)
    known, other = replace(FACTS, inputs=[lmdb]), replace(FACTS, inputs=[replace(lmdb, sha256="b" * 64)])
    assert known.differences(other) == ["LMDB of rgb, train aaaaaaaaaaaa, not bbbbbbbbbbbb"]
    copied = replace(lmdb, path="elsewhere", inode=9)
    for same in (replace(FACTS, inputs=[copied]), FACTS):  # an older version recorded none
        assert known.differences(same) == same.differences(known) == []
    assert known.differences(replace(other, set_digest="f" * 64)) == ["set_digest dddddddddddd, not ffffffffffff"]


def test_a_missing_or_damaged_run_json_is_one_line(tmp_path):
    with pytest.raises(EmotiwError, match="is not a run: make one with emotiw pretrain"):
        Run(tmp_path / "none").facts()
    for text in ("{", "[]", '{"row": "x"}', "\xff"):
        (tmp_path / "run.json").write_text(text, encoding="latin-1")
        with pytest.raises(EmotiwError, match=r"damaged or of another version|not text in UTF-8"):
            Run(tmp_path).facts()


def test_runs_are_found_by_stage(tmp_path):
    for place in ("b/finetune", "a/finetune", "a/pretrain", "a/finetune/deeper"):
        Run(tmp_path / place).write_facts(FACTS)
    assert [run.folder for run in find_runs(tmp_path)] == [tmp_path / "a/finetune", tmp_path / "b/finetune"]
    assert [run.folder for run in find_runs(tmp_path, "pretrain")] == [tmp_path / "a/pretrain"]


def test_pruning_by_hand(tmp_path):
    def names_left():
        return sorted(int(path.stem.rpartition("_")[2]) for path in tmp_path.glob("*.caffemodel"))

    for iteration in (4, 8, 12, 100, 104):
        for ending in ("caffemodel", "solverstate"):
            (tmp_path / f"snapshot_iter_{iteration}.{ending}").touch()
    Run(tmp_path).prune_snapshots(12, newest=2)
    assert names_left() == [8, 12, 100, 104]  # Caffe is ahead of the log
    Run(tmp_path).prune_snapshots(104, newest=2)
    assert names_left() == [100, 104]
    assert len(list(tmp_path.glob("*.solverstate"))) == 2


@pytest.fixture
def run(runs, tmp_path):
    """A copy of a real run with one snapshot, of iteration 3."""
    return Run(shutil.copytree(runs / "vgg_s_small-rgb/finetune", tmp_path / "copy"))


@pytest.mark.caffe
def test_a_real_snapshot_is_good(run):
    assert run.snapshots() == [(3, run.folder / "snapshot_iter_3.solverstate")]
    assert run.purge_snapshots(3) == run.snapshots() != []
    assert len(list(run.folder.glob("snapshot_*"))) == 2
    assert run.purge_snapshots(2) == []
    assert not list(run.folder.glob("snapshot_*"))


def content(path):
    """All numbers in a snapshot's file."""
    if path.suffix == ".caffemodel":
        return [blob for layer in read_weights(path).values() for blob in layer]
    return [array_of(blob) for blob in read_binary(path, SolverState).history]


@pytest.mark.caffe
@pytest.mark.parametrize("ending", ["caffemodel", "solverstate"])
def test_a_snapshot_that_was_cut_off_is_not_good(run, ending):
    """At any place: a cut file that is accepted has lost no number."""
    path = run.folder / f"snapshot_iter_3.{ending}"
    data, numbers = path.read_bytes(), content(path)
    cuts = {0, 1, *np.random.default_rng(0).integers(0, len(data), 12), *(len(data) - k for k in range(1, 40, 3))}
    refused = 0
    for cut in cuts:
        path.write_bytes(data[:cut])
        if run.snapshots():
            assert all(map(np.array_equal, content(path), numbers))
        else:
            refused += 1
    assert refused >= 13
    assert run.purge_snapshots(3) == []
    assert not list(run.folder.glob("snapshot_*"))


@pytest.mark.caffe
def test_a_snapshot_cut_between_two_blobs_is_not_good(run):
    """Such a file is a valid message; only the number of blobs is wrong."""
    path = run.folder / "snapshot_iter_3.solverstate"
    state = read_binary(path, SolverState)
    del state.history[-1]
    write_binary(path, state)
    assert run.snapshots() == []


@pytest.mark.caffe
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("ending", ["caffemodel", "solverstate"])
def test_a_snapshot_with_one_nan_is_not_good(run, ending, value):
    path = run.folder / f"snapshot_iter_3.{ending}"
    message = read_binary(path, NetParameter if ending == "caffemodel" else SolverState)
    blob = (
        next(layer.blobs[0] for layer in message.layer if layer.blobs) if ending == "caffemodel" else message.history[5]
    )
    blob.data[7] = value
    write_binary(path, message)
    assert run.snapshots() == []


@pytest.mark.caffe
def test_a_snapshot_without_its_weights_is_not_good(run):
    (run.folder / "snapshot_iter_3.caffemodel").unlink()
    assert run.snapshots() == []
    assert run.purge_snapshots(3) == []
    assert not list(run.folder.glob("snapshot_*"))


@pytest.mark.caffe
def test_a_reopened_run_has_nothing_of_its_old_model(run):
    assert (run.folder / "scores_val.csv").exists()
    run.reopen()
    assert {path.name for path in run.folder.iterdir()} == {
        "run.json", "train_val.prototxt", "deploy.prototxt", "solver.prototxt", "mean.binaryproto", "log.txt",
        "progress.csv", "snapshot_iter_3.caffemodel", "snapshot_iter_3.solverstate",
    }  # fmt: skip
