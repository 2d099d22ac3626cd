"""Warnings about a run's training are at its figures, in every format of the table."""

import csv
import json

import pytest

from emotiw.__main__ import main
from emotiw.train.run_folder import Facts, Run


@pytest.fixture
def marked(make_run, answers, tmp_path, capsys):
    """Print the table of three runs; one was resumed, and one started from a marked run's weights."""
    labels = [0, 1, 2, 3, 4, 5, 6] * 2
    start = ["pretrain resumed at 3", "began with weights of rgb"]
    more = {"lbp": {"resumed": [5, 10]}, "cyclic_lbp": {"start": start}}
    for name in ("rgb", "lbp", "cyclic_lbp"):
        folder = make_run(f"vgg_s-{name}", answers(*labels), labels)
        facts = json.loads((folder / "run.json").read_text()) | more.get(name, {})
        facts.pop("seal", None)  # changed by hand
        (folder / "run.json").write_text(json.dumps(facts))
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table")]) == 0
    return capsys.readouterr().out, tmp_path / "table"


SAID = {
    "vgg_s-rgb": "caffe",
    "vgg_s-lbp": "caffe, resumed at 5, 10",
    "vgg_s-cyclic_lbp": "caffe, pretrain resumed at 3, began with weights of rgb",
}


def test_the_marks_are_at_the_cells_in_every_format(marked):
    text, folder = marked
    for words in SAID.values():
        for form in (text, (folder / "table.md").read_text(), (folder / "report.html").read_text()):
            assert words in form
    with (folder / "table.csv").open(newline="") as file:
        engines = {row["name"]: row["engine"] for row in csv.DictReader(file)}
    assert {name: engines[name] for name in SAID} == SAID
    (together,) = {words for name, words in engines.items() if name.startswith("ensemble")}
    assert all(words in together for words in SAID.values()), "an ensemble has the marks of its nets"


def test_an_uninterrupted_run_has_no_mark(make_run, answers, tmp_path):
    run = Run(make_run("vgg_s-rgb", answers(0, 1), [0, 1]))
    assert run.facts().marks == []
    assert isinstance(run.facts(), Facts)
