"""Records of runs that can be committed: the same table, no weights, no path of this machine."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from emotiw.__main__ import main
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import of_run
from emotiw.evaluate.records import copy_records
from emotiw.evaluate.scoring import read_evaluation, write_evaluation
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.trained_on import TrainedOn
from emotiw.inputs import find, taken
from emotiw.train.run_folder import Before, Run

LABELS = [0, 1, 2, 3, 4, 5, 6, 6]
ROWS = ("vgg_s-rgb", "vgg_s-lbp")
FILES = {
    "train_val": "train_val.prototxt",
    "deploy": "deploy.prototxt",
    "mean": "mean.binaryproto",
    "model": "model.caffemodel",
}


@pytest.fixture
def make(make_run, answers, tmp_path):
    """Return a function that writes a run with recorded inputs (a set, an earlier stage, small files) and scores."""
    place = tmp_path / "sets/faces"
    for name in ("rgb/train_lmdb", "rgb/val_lmdb"):
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / "data.mdb").write_text(name)
    (place / "manifest.csv").write_text("manifest")

    def run(row, named=LABELS, split="val", **more):
        folder = make_run(row, answers(*named), LABELS, split=split)
        for name in FILES.values():
            (folder / name).write_text(f"{name} of {row}")
        (folder / "progress.csv").write_text("iteration,loss\n")
        weights = tmp_path / f"runs/{row}/pretrain/model.caffemodel"
        weights.parent.mkdir(exist_ok=True)
        weights.write_text("before")
        own = [taken(role, folder / name, name=name) for role, name in FILES.items()]
        of_set = [
            taken("manifest", place / "manifest.csv"),
            taken("LMDB of rgb, train", place / "rgb/train_lmdb", "1" * 64),
        ]
        known = replace(
            Run(folder).facts(),
            set_folder=str(place),
            weights=str(weights),
            net_folder="/home/me/nets/own",
            inputs=[*of_set, taken("starting weights", weights), *own],
            before=[Before("pretrain", "/data/people", "b" * 64, 9, 1)],
        )
        Run(folder).write_facts(known)
        inputs = [*of_set[:1], taken("LMDB of rgb, val", place / "rgb/val_lmdb", "2" * 64), *own[1:]]
        inputs.append(taken("run.json", folder / "run.json", name="run.json"))
        trained_on = [TrainedOn("pretrain", "/data/people", 0), TrainedOn("finetune", str(place), 2)]
        protocol, scores = read_evaluation(folder, split)
        made = {"set_folder": str(place), "inputs": inputs, "trained_on": trained_on, "seen": "0 3", "in_val": 0}
        protocol = replace(protocol, **made, val_digest="d" * 64, weights_sha256=own[-1].sha256, **more)
        write_evaluation(folder, row, split, scores, asdict(protocol))
        return folder

    return run


@pytest.fixture
def two(make, tmp_path):
    make(ROWS[0], [0, 1, 2, 3, 4, 5, 0, 0])
    make(ROWS[1], [0, 1, 2, 3, 4, 0, 6, 6])
    return tmp_path / "runs"


def records_of(runs: Path, output: Path, *more: str) -> int:
    return main(["records", str(runs), "-o", str(output), *more])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_exported(two, tmp_path, capsys):
    assert records_of(two, tmp_path / "out") == 0
    names = ("progress.csv", "run.json", "scores_val.csv", "scores_val.json")
    assert sorted(contents(tmp_path / "out")) == [f"{row}/finetune/{name}" for row in sorted(ROWS) for name in names]
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "2 folders of records, 2 written"
    assert f"{tmp_path / 'out/vgg_s-lbp/finetune'}: scores of val: written" in said
    for name in ("scores_val.csv", "progress.csv"):
        place = f"{ROWS[0]}/finetune/{name}"
        assert (tmp_path / "out" / place).read_bytes() == (two / place).read_bytes()


def test_no_record_has_a_path_of_this_machine(two, tmp_path):
    records_of(two, tmp_path / "out")
    for name, content in contents(tmp_path / "out").items():
        text = content.decode()
        assert not re.search(r'(?:^|[\s",])(/[^"\s]+)', text), name
        assert str(tmp_path) not in text
    folder = tmp_path / "out" / ROWS[0] / "finetune"
    facts, (protocol, _) = Run(folder).facts(), read_evaluation(folder, "val")
    assert (facts.set_folder, facts.weights, facts.net_folder) == (
        "faces",
        "../pretrain/model.caffemodel",
        "elsewhere/own",
    )
    assert [stage.set_folder for stage in facts.before] == ["people"]
    assert {one.role: one.path for one in facts.inputs} == {
        "manifest": "faces/manifest.csv",
        "LMDB of rgb, train": "faces/rgb/train_lmdb",
        "starting weights": "../pretrain/model.caffemodel",
        **FILES,
    }
    assert [one.where for one in protocol.trained_on] == ["people", "faces"]
    assert {(one.mtime_ns, one.inode) for one in (*facts.inputs, *protocol.inputs)} == {(0, 0)}


def test_digests_are_those_of_the_run(two, tmp_path):
    records_of(two, tmp_path / "out")
    for row in ROWS:
        here, there = (Run(folder / row / "finetune") for folder in (two, tmp_path / "out"))
        mine, theirs = here.facts(), there.facts()
        assert {one.role: one.sha256 for one in mine.inputs} == {one.role: one.sha256 for one in theirs.inputs}
        assert (mine.set_digest, mine.recipe) == (theirs.set_digest, theirs.recipe)
        protocol, known = (read_evaluation(run.folder, "val")[0] for run in (here, there))
        assert (protocol.scores_sha256, protocol.weights_sha256) == (known.scores_sha256, known.weights_sha256)
        assert find(known.inputs, "run.json") == replace(
            taken("run.json", there.folder / "run.json", name="run.json"), mtime_ns=0, inode=0
        )


def test_the_table_of_the_records_is_the_table_of_the_runs(two, tmp_path):
    """They are equal except the note that models and sets are missing; the errors are equal, too."""
    records_of(two, tmp_path / "out")
    for name, runs in (("here", two), ("there", tmp_path / "out")):
        assert main(["table", str(runs), "-o", str(tmp_path / name)]) == 0
    here, there = ((tmp_path / name / "table.md").read_text() for name in ("here", "there"))
    said = (
        "Published records: the models and sets of vgg_s-rgb, vgg_s-lbp are not here and were not compared; their "
        "digests are in run.json and in the records of the scores."
    )
    assert said in there
    assert "Published records" not in here
    assert "Not compared" not in there
    assert there.replace(f"\n{said}\n", "") == here.replace(str(tmp_path / "sets") + "/", "").replace("/data/", "")
    for name in ("errors.md", "errors.csv", "predictions_val.txt"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert str(tmp_path) not in there


def test_row_by_row_and_again(make, tmp_path, capsys):
    make(ROWS[0])
    runs, out = tmp_path / "runs", tmp_path / "out"
    assert records_of(runs, out) == 0
    before = contents(out)
    assert records_of(runs, out) == 0
    assert f"{out / ROWS[0] / 'finetune'}: scores of val: unchanged" in capsys.readouterr().out
    make(ROWS[1])
    assert records_of(runs, out, "--rows", ROWS[1]) == 0
    after = contents(out)
    assert before.items() < after.items()
    assert {name.split("/")[0] for name in after} == set(ROWS)


def test_scores_of_another_split_are_added(make, tmp_path):
    folder = make(ROWS[0])
    records_of(tmp_path / "runs", tmp_path / "out")
    protocol, scores = read_evaluation(folder, "val")
    write_evaluation(folder, ROWS[0], "test", scores, asdict(replace(protocol, split="test")))
    assert records_of(tmp_path / "runs", tmp_path / "out") == 0
    assert (tmp_path / "out" / ROWS[0] / "finetune/scores_test.csv").is_file()


def refused(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_record_of_another_run_is_not_replaced_without_force(two, make, tmp_path, capsys):
    out = tmp_path / "out"
    records_of(two, out)
    before = contents(out)
    make(ROWS[0], LABELS)
    make("vgg_s-cyclic_lbp")
    assert records_of(two, out) == 1
    folder = out / ROWS[0] / "finetune"
    assert f"{folder} has another record (" in refused(capsys)
    assert contents(out) == before  # nothing of the new row, either
    assert records_of(two, out, "--force") == 0
    assert contents(out)[f"{ROWS[0]}/finetune/scores_val.csv"] != before[f"{ROWS[0]}/finetune/scores_val.csv"]


def test_force_replaces_only_a_folder_of_records(two, tmp_path, capsys):
    folder = tmp_path / "out" / ROWS[0] / "finetune"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    for force in ([], ["--force"]):
        assert records_of(two, tmp_path / "out", *force) == 1
        words = f"{folder} is not a folder of records, so it is not replaced: remove it, or name another output"
        assert refused(capsys) == f"emotiw: {words}"
    assert list(contents(tmp_path / "out")) == [f"{ROWS[0]}/finetune/thesis.txt"]


def test_runs_are_never_replaced_by_their_records(two, capsys):
    before = contents(two)
    assert records_of(two, two, "--force") == 1
    assert "has a run with its nets or weights: name another output" in refused(capsys)
    assert contents(two) == before


def test_a_model_other_than_the_scored_one_is_not_published(two, tmp_path, capsys):
    (two / ROWS[0] / "finetune/model.caffemodel").write_text("another")
    assert records_of(two, tmp_path / "out") == 1
    assert "was scored before it changed" in refused(capsys)
    assert not (tmp_path / "out").exists()


def test_runs_without_scores_are_reported(two, make, tmp_path, capsys):
    (make("vgg_s-cyclic_lbp") / "scores_val.csv").unlink()
    assert records_of(two, tmp_path / "out") == 0
    assert records_of(two, tmp_path / "out", "--rows", "vgg_s-cyclic_lbp") == 1
    assert "vgg_s-cyclic_lbp has no scores yet: make them with emotiw evaluate" in refused(capsys)
    assert records_of(two, tmp_path / "out", "--rows", "none") == 1
    assert "has no finetune run of none" in refused(capsys)


def test_records_of_records_are_the_same(two, tmp_path):
    records_of(two, tmp_path / "out")
    records_of(tmp_path / "out", tmp_path / "again")
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_a_changed_record_is_refused(two, tmp_path):
    records_of(two, tmp_path / "out")
    path = tmp_path / "out" / ROWS[0] / "finetune/run.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(EmotiwError, match="it was changed after it was written"):
        copy_records(tmp_path / "out", tmp_path / "again")


def test_a_model_that_comes_back_is_compared(two, tmp_path, capsys):
    """The scored one is accepted, another one refused, as for any run."""
    records_of(two, tmp_path / "out")
    model = tmp_path / "out" / ROWS[0] / "finetune/model.caffemodel"
    shutil.copy(two / ROWS[0] / "finetune/model.caffemodel", model)
    collect(tmp_path / "out")
    model.write_text("another")
    with pytest.raises(EmotiwError, match="was scored before it changed"):
        collect(tmp_path / "out")


def test_a_record_is_no_model_and_no_unfinished_training(two, tmp_path):
    records_of(two, tmp_path / "out")
    run = Run(tmp_path / "out" / ROWS[0] / "finetune")
    assert run.published
    assert not Run(two / ROWS[0] / "finetune").published
    with pytest.raises(EmotiwError, match="is the record of a run, without its weights: give the run itself"):
        of_run(run)
    (run.folder / "scores_val.csv").unlink()
    assert collect(tmp_path / "out").trained.missing == {ROWS[0]: "not evaluated"}


def test_older_scores_without_a_record_of_inputs(make_run, answers, tmp_path):
    """They get a seal, and the set's path becomes its name."""
    make_run(ROWS[0], answers(*LABELS), LABELS, set_folder="/some/where/faces")
    records_of(tmp_path / "runs", tmp_path / "out")
    path = tmp_path / "out" / ROWS[0] / "finetune/scores_val.json"
    assert json.loads(path.read_text())["set_folder"] == "faces"
    assert collect(tmp_path / "out").protocol.set_folder == "faces"


def test_released_models_and_baselines_are_exported(two, make_released, answers, tmp_path):
    make_released("VGG_S_rgb", answers(*LABELS), LABELS)
    records_of(two, tmp_path / "out")
    assert (tmp_path / "out/released/VGG_S_rgb/scores_val.json").is_file()
    assert not (tmp_path / "out/released/VGG_S_rgb/run.json").exists()
