"""A prepared set and a finished run of an earlier version can be read and resumed unchanged.

`older/` holds what these commands wrote before the folders were rebuilt, without the pictures, which nothing reads:

    emotiw prepare faces -o set --labels emotions -r rgb cyclic_lbp --size 64 --val 0.5 --store png
    emotiw finetune googlenet_small-rgb --set set -o runs --from scratch --iterations 1
    emotiw evaluate runs/googlenet_small-rgb/finetune --set set
"""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.prepared_set import open_set
from emotiw.evaluate.model import open_model
from emotiw.evaluate.scores import read_scores
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.train.run_folder import Run

ROW = "googlenet_small-rgb"
FINETUNE = ["finetune", ROW, "--from", "scratch"]


@pytest.fixture
def older(tmp_path):
    """A copy of what the earlier version wrote: tests change it."""
    return Path(shutil.copytree(Path(__file__).with_name("older"), tmp_path / "older"))


@pytest.fixture
def run(older):
    return Run(older / "runs" / ROW / "finetune")


def test_the_set_is_the_same_set(older):
    prepared = open_set(older / "set")
    manifest = (older / "set/manifest.csv").read_bytes()
    assert prepared.facts.manifest_sha256 == hashlib.sha256(manifest).hexdigest()
    assert prepared.digest == "089d5ae6c918c8fc1c5fe8d9ffee6a4bc94358670b07ee323de7d155a817e567"
    assert (tuple(prepared.classes), prepared.size) == (EMOTIONS, 64)
    for representation in ("rgb", "cyclic_lbp"):
        blobs = []
        for split in ("train", "val"):
            rows = {row["path"]: int(row["label"]) for row in prepared.manifest if row["split"] == split}
            records = list(prepared.records(representation, split))
            assert {record.path: record.label for record in records} == rows
            assert sorted(rows.values()) == list(range(7))
            blobs.append(np.stack([record.blob for record in records]))
        mean = read_mean(prepared.mean_file(representation))
        np.testing.assert_allclose(mean, blobs[0].mean(axis=0), atol=1e-4)


def test_the_same_prepare_says_that_the_set_exists(older, capsys):
    command = ["--labels", "emotions", "-r", "rgb", "cyclic_lbp", "--size", "64", "--val", "0.5", "--store", "png"]
    assert main(["prepare", str(older / "faces"), "-o", str(older / "set"), *command]) == 1
    said = capsys.readouterr()
    place = older / "set"
    assert said.err == f"emotiw: {place} exists already: give --force to replace it, or name another output\n"
    assert said.out == ""


def test_the_run_is_the_same_run(run):
    facts = run.facts()
    assert (facts.row, facts.stage, facts.iterations, facts.engine) == (ROW, "finetune", 1, "caffe")
    assert [iteration for iteration, _ in run.snapshots()] == [1]
    model = open_model(run.folder)
    assert (model.name, model.classes, model.size, model.crop) == (f"{ROW}/finetune", EMOTIONS, 64, 56)


@pytest.mark.caffe
def test_an_evaluation_gives_the_same_scores(older, run):
    before, protocol = read_scores(run.folder / "scores_val.csv"), run.folder / "scores_val.json"
    recorded = json.loads(protocol.read_text())
    assert main(["evaluate", str(run.folder), "--set", str(older / "set"), "--force"]) == 0
    after = read_scores(run.folder / "scores_val.csv")
    assert (after.paths, after.classes) == (before.paths, before.classes)
    assert (after.labels == before.labels).all()
    np.testing.assert_allclose(after.posteriors, before.posteriors, atol=1e-5)  # another machine has other kernels
    again = json.loads(protocol.read_text())
    free = ("set_folder", "engine_version")
    assert {k: again[k] for k in recorded if k not in free} == {k: v for k, v in recorded.items() if k not in free}
    new = {"official", "set_split", "seen", "in_val", "val_digest"}
    assert again.keys() - recorded.keys() == {"dataset", "drawn", "inputs", "scores_sha256", "trained_on", "seal", *new}
    assert (again["seen"], again["in_val"]) == ("", -1)
    assert [one["images"] for one in again["trained_on"]] == [-1]  # it does not know its pixels


def test_a_table_is_made_of_its_scores(older, run):
    scores = read_scores(run.folder / "scores_val.csv")
    assert main(["table", str(older / "runs"), "-o", str(older / "table")]) == 0
    with (older / "table/table.csv").open(encoding="utf-8", newline="") as file:
        (line,) = [row for row in csv.DictReader(file) if row["name"] == ROW]
    assert line["accuracy"] == f"{scores.accuracy:.6f}"
    assert (line["engine"], line["split"], line["n"]) == ("caffe", "val", "7")


@pytest.mark.caffe
def test_the_same_training_has_nothing_to_do(older, run):
    before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    assert main([*FINETUNE, "--set", str(older / "set"), "-o", str(older / "runs"), "--iterations", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


@pytest.mark.caffe
def test_a_longer_training_resumes_from_its_snapshot(older, run):
    known = (run.folder / "log.txt").read_text()
    assert main([*FINETUNE, "--set", str(older / "set"), "-o", str(older / "runs"), "--iterations", "2"]) == 0
    log = (run.folder / "log.txt").read_text()
    assert log.startswith(known)
    assert "snapshot_iter_1.solverstate" in log.removeprefix(known)
    assert "Iteration 0 " not in log.removeprefix(known)
    assert (run.facts().iterations, run.finished) == (2, True)
    assert [iteration for iteration, _ in run.snapshots()] == [1, 2]
    assert not (run.folder / "scores_val.csv").exists()
