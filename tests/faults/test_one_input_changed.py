"""A finished reproduction with one changed input: no command prints its figure without a warning."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import lmdb
import pytest

from emotiw.__main__ import main
from emotiw.commands import reproduce
from emotiw.data_prep.prepared_set import open_set
from emotiw.errors import EmotiwError
from emotiw.evaluate.recorded import OWN, Recorded, training_records
from emotiw.evaluate.scoring import read_protocol
from emotiw.inputs import RUN, Look
from emotiw.train.run_folder import Run

pytestmark = pytest.mark.caffe

ROW, REPRESENTATION = "vgg_s_small-cyclic_lbp", ("-r", "cyclic_lbp")
QUICK, SLOW = ("table", "reproduce"), ("evaluate", "predict")
_TABLE = "| 95 % interval"
FIGURES = {"table": _TABLE, "reproduce": _TABLE, "evaluate": "accuracy ", "predict": "whole picture: "}


@pytest.fixture(scope="module")
def kept(sets, caffe, tmp_path_factory):
    """The sets, and the results of a finished reproduction with them."""
    folder = tmp_path_factory.mktemp("one input")
    shutil.copytree(sets / "expressions", folder / "expressions")
    shutil.copytree(sets / "faces/expressions", folder / "faces")
    people, faces = ["--set", folder / "people"], ["--set", folder / "expressions"]
    how = ["-o", folder / "it/runs", "--iterations", "2"]
    for command in (
        ["prepare", sets / "faces/people", "-o", people[1], "--labels", "identities", "--size", "64", *REPRESENTATION],
        ["pretrain", ROW, *people, *how],
        ["finetune", ROW, *faces, *how],
        ["evaluate", folder / f"it/runs/{ROW}/finetune", *faces],
        ["table", folder / "it/runs", "-o", folder / "it/table_val"],
    ):
        assert main(list(map(str, command))) == 0
    return folder


WHY = (", recorded ", "manifest.csv was changed after the set was prepared", "run.json is damaged")


@dataclass(frozen=True)
class Printed:
    """A command's output and exit status."""

    status: int
    words: str

    def is_honest(self, name: str) -> bool:
        """Whether it was refused for an expected reason, or the result is marked."""
        figure = FIGURES[name] in self.words
        if self.status:
            return not figure and any(why in self.words for why in WHY)
        return not figure or any(mark in self.words for mark in ("[a] ", "warning: ", "NOT VERIFIED"))


def printed(name, folder, capsys):
    """Return a command's output; restore the scores that it writes."""
    run, face = folder / f"it/runs/{ROW}/finetune", next((folder / "faces").rglob("*.png"))
    table = ["table", folder / "it/runs", "-o", folder / "table", "--force"]
    scored = ["evaluate", run, "--set", folder / "expressions", "--force"]
    predicted = ["predict", face, "--aligned", "--model", run]
    call = {
        "table": lambda: main(list(map(str, table))),
        "reproduce": lambda: reproduce._show(folder / "it", "val", [ROW], Look.SMALL),
        "evaluate": lambda: main(list(map(str, scored))),
        "predict": lambda: main(list(map(str, predicted))),
    }[name]
    scores = {path: path.read_bytes() for path in run.glob("scores_val.*")}
    capsys.readouterr()
    try:
        status, error = call() or 0, ""
    except EmotiwError as caught:
        status, error = 1, str(caught)
    for path, content in scores.items():
        path.write_bytes(content)
    said = capsys.readouterr()
    return Printed(status, said.out + said.err + error)


def changed(path: Path) -> None:
    """Change a value of a file, or of an LMDB's first record, so that it stays readable."""
    if path.is_dir():
        with lmdb.open(str(path), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
            key, value = next(iter(transaction.cursor()))
            middle = len(value) // 2
            transaction.put(bytes(key), value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :])
    elif path.suffix == ".prototxt":
        path.write_text(path.read_text() + "# changed\n")
    else:
        content = bytearray(path.read_bytes())
        content[-5] ^= 1  # the lowest bits of the last number
        path.write_bytes(content)


@dataclass(frozen=True)
class Case:
    """A recorded input, and the commands with results that depend on it."""

    role: str
    path: Path
    read_by: tuple[str, ...]


def cases(folder):
    """Every file in the records of the scores, of their run and of the run before it, and the commands that read it."""
    run = Run(folder / f"it/runs/{ROW}/finetune")
    records = [Recorded(run.folder, tuple(read_protocol(run.folder, "val").inputs)), *training_records(run)]
    predicted = {run.folder / one.path for one in records[0].inputs if one.role in OWN and one.role != RUN}
    found = {record.folder / one.path: one.role for record in records for one in record.inputs if one.path}
    return [
        Case(role, path, (*QUICK, *(SLOW if path in predicted else SLOW[:1]))) for path, role in sorted(found.items())
    ]


@pytest.mark.parametrize("names", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_no_command_prints_a_figure_of_a_changed_input(kept, capsys, names):
    """Every recorded file in turn."""

    def nothing_is_said(why):
        for name in names:
            done = printed(name, kept, capsys)
            assert (done.status, FIGURES[name] in done.words, done.is_honest(name)) == (0, True, False), (why, done)

    nothing_is_said("nothing was changed")
    every = cases(kept)
    assert {case.role for case in every} == {
        "manifest", "LMDB of cyclic_lbp, train", "LMDB of cyclic_lbp, val", "mean of cyclic_lbp", "model", "deploy",
        "mean", "run.json", "train_val", "solver",
    }  # fmt: skip
    for case in every:
        away = case.path.with_name(f"{case.path.name}.away")
        case.path.rename(away)
        (shutil.copytree if away.is_dir() else shutil.copy2)(away, case.path)
        changed(case.path)
        for name in set(names) & set(case.read_by):
            done = printed(name, kept, capsys)
            assert done.is_honest(name), (case, name, done)
        shutil.rmtree(case.path) if away.is_dir() else case.path.unlink()
        away.rename(case.path)
    nothing_is_said("everything is back")


RECORDS = {
    f"it/runs/{ROW}/pretrain/run.json": QUICK,
    f"it/runs/{ROW}/finetune/run.json": (*QUICK, *SLOW),
    f"it/runs/{ROW}/finetune/scores_val.json": QUICK,
    "expressions/set.json": SLOW[:1],
    "people/set.json": (),
}


@pytest.mark.parametrize("record", RECORDS)
def test_no_command_uses_a_record_that_was_changed(kept, capsys, record):
    """Every field of every record in turn."""
    path = kept / record
    text = path.read_text()
    assert json.loads(text)["inputs"]
    for field, old in json.loads(text).items():
        path.write_text(json.dumps(json.loads(text) | {field: [old]}))
        for name in RECORDS[record]:
            done = printed(name, kept, capsys)
            assert done.status == 1, (field, name, done)
            assert "damaged" in done.words or "another version" in done.words, (field, name, done)
            assert FIGURES[name] not in done.words
        if path.name == "set.json":
            with pytest.raises(EmotiwError, match=r"set\.json is damaged|another version"):
                open_set(path.parent)
    path.write_text(text)
