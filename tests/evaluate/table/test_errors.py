"""The errors of a table: figures that can be committed, and faces only in the local report."""

import csv
import json
import shutil

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.evaluate.scores import Scores, write_scores
from emotiw.evaluate.table.errors import errors
from emotiw.evaluate.table.results import collect
from emotiw.evaluate.trained_on import positions, spans

LABELS = [0, 1, 2, 3, 4, 5, 6, 6]


def tabled(tmp_path):
    assert main(["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--force"]) == 0
    with (tmp_path / "table/errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return (tmp_path / "table/errors.md").read_text(), rows, (tmp_path / "table/report.html").read_text()


def test_confusion_and_classes(make_run, answers, tmp_path):
    """One of two Surprise images is classified as Angry; all others are right."""
    make_run("vgg_s-rgb", answers(0, 1, 2, 3, 4, 5, 6, 0), LABELS)
    text, rows, report = tabled(tmp_path)
    known = {(row["images"], row["class"]): row for row in rows}
    surprise = known["all", "Surprise"]
    assert (surprise["n"], surprise["correct"], surprise["accuracy"]) == ("2", "1", "0.500000")
    assert (surprise["as Angry"], surprise["as Surprise"], surprise["as Sad"]) == ("1", "1", "0")
    assert (round(float(surprise["low"]), 4), round(float(surprise["high"]), 4)) == (0.0126, 0.9874)  # exact: 1 of 2
    assert (known["all", ""]["n"], known["all", ""]["correct"]) == ("8", "7")
    line = [cell.strip() for cell in next(one for one in text.splitlines() if one.startswith("| Surprise")).split("|")]
    assert line[1:-1] == ["Surprise", "1", "0", "0", "0", "0", "0", "1", "2", "50.00", "1.26 - 98.74"]
    assert "<td>1.26 - 98.74</td>" in report
    assert text.startswith("Set gone: ")


def test_every_net_has_its_classes_beside_the_ensembles(make_run, answers, tmp_path):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS)
    make_run("vgg_s-lbp", answers(*[0] * 8), LABELS)
    text, rows, _ = tabled(tmp_path)
    names = list(dict.fromkeys(row["name"] for row in rows))
    assert names == ["ensemble: likelihood, on these very scores", "vgg_s-rgb", "vgg_s-lbp"]
    found = [row for row in rows if row["name"] == "vgg_s-lbp" and row["class"]]
    assert [row["accuracy"] for row in found] == ["1.000000", *["0.000000"] * 6]
    assert [cell.strip() for cell in next(o for o in text.splitlines() if o.startswith("| vgg_s-lbp")).split("|")][
        2
    ] == ("100.00")


def test_a_class_without_images_has_no_line(make_run, answers, tmp_path):
    make_run("vgg_s-rgb", answers(0, 1, 0), [0, 1, 1])
    _, rows, _ = tabled(tmp_path)
    assert [row["class"] for row in rows] == ["Angry", "Disgust", ""]


def seen(images, **more):
    known = [{"stage": "finetune", "where": "faces", "images": len(positions(images, 8).nonzero()[0])}]
    return {"trained_on": known, "seen": images, **more}


def test_accuracy_without_the_images_that_are_also_in_training(make_run, answers, tmp_path):
    """Both nets were trained on 0, 1 and 7; the second is right on 6 of 8, and on 4 of 5 without these."""
    make_run("vgg_s-rgb", answers(*LABELS), LABELS, **seen("0-1"))
    make_run("vgg_s-lbp", answers(0, 1, 2, 3, 4, 0, 6, 0), LABELS, **seen("7"))
    text, rows, report = tabled(tmp_path)
    said = "Of the 8 val images, 3 are also among the training images of a net, by pixels."
    for form in (text, report):
        assert said in form
    found = {row["name"]: row for row in rows if row["images"] == "not trained on"}
    assert (found["vgg_s-lbp"]["n"], found["vgg_s-lbp"]["correct"]) == ("5", "4")
    assert len(found) == 3
    line = next(one for one in text.splitlines() if one.startswith("| vgg_s-lbp") and "75.00" in one)
    assert [cell.strip() for cell in line.split("|")][2:4] == ["75.00", "80.00"]


@pytest.mark.parametrize(("images", "number"), [("", "0 are"), ("0-7", "8 are"), ("3", "1 is")])
def test_there_is_no_other_figure_for_no_or_all_images(make_run, answers, tmp_path, images, number):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS, **seen(images))
    text, rows, _ = tabled(tmp_path)
    assert f"Of the 8 val images, {number} also among the training images of a net, by pixels." in text
    assert ("not trained on" in {row["images"] for row in rows}) == (images == "3")


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"trained_on": [{"stage": "finetune", "where": "faces", "images": -1}]},
        {"trained_on": [{"stage": "finetune", "where": "faces", "images": 2}]},  # older: how many, not which
    ],
)
def test_unknown_training_images_are_reported(make_run, answers, tmp_path, known):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS, **known)
    text, _, report = tabled(tmp_path)
    assert "; for some nets or stages this is not known." in text
    assert "; for some nets or stages this is not known." in report


def test_positions_outside_the_images_are_refused(make_run, answers, tmp_path):
    make_run("vgg_s-rgb", answers(*LABELS), LABELS, trained_on=[], seen="9")
    with pytest.raises(EmotiwError, match="9 is not a span of 8 images: evaluate again with --force"):
        errors(collect(tmp_path / "runs"))


def test_spans():
    for some in ([], [0], [0, 1, 2, 7, 9, 10], [3, 5, 7]):
        assert positions(spans(some), 11).nonzero()[0].tolist() == some
    assert spans(range(5)) == "0-4"
    for wrong in ("11", "3-2", "x", "-1", "2-99"):
        with pytest.raises(ValueError):
            positions(wrong, 11)


def test_the_most_confident_mistakes_come_first(make_run, tmp_path):
    posteriors = np.full((8, 7), 0.01)
    for image, (named, confidence) in enumerate(
        [(1, 0.5), (1, 0.94), (0, 0.9), (3, 0.94), (4, 0.94), (0, 0.7), (6, 0.9), (6, 0.9)]
    ):
        posteriors[image] = (1 - confidence) / 6
        posteriors[image, named] = confidence
    make_run("vgg_s-rgb", posteriors, LABELS)
    found = errors(collect(tmp_path / "runs")).mistakes
    assert [(one.path, one.truth, one.predicted, round(one.posterior, 2)) for one in found] == [
        ("Fear/2.png", "Fear", "Angry", 0.9),
        ("Sad/5.png", "Sad", "Angry", 0.7),
        ("Angry/0.png", "Angry", "Disgust", 0.5),
    ]


def test_many_classes_have_no_figures_by_class(make_run, answers, tmp_path):
    people = [f"person {number}" for number in range(21)]
    make_run("vgg_s-rgb", answers(0, 1, classes=21), [0, 2], classes=people)
    text, rows, _ = tabled(tmp_path)
    assert [row["class"] for row in rows] == [""]
    assert "person" not in text


@pytest.fixture
def drawn(make_run, tmp_path):
    """A run that is wrong on all images of a set, scored on its val split under another name."""
    draw_expressions(tmp_path / "faces", 2, 2, seed=0)
    prepare(tmp_path / "faces", tmp_path / "set", Settings("emotions", ("lbp", "rgb"), 16, val=0.5))
    prepared = open_set(tmp_path / "set")
    rows = [row for row in prepared.manifest if row["split"] == "val"]
    of_set = {"set_folder": str(prepared.folder), "set_split": "val"}
    folder = make_run("vgg_s-rgb", [[1 / 7] * 7], [0], split="far", digest=prepared.digest, **of_set)
    labels = np.array([int(row["label"]) for row in rows])
    posteriors = np.eye(7)[(labels + 1) % 7]
    write_scores(
        folder / "scores_far.csv",
        Scores(tuple(row["path"] for row in rows), labels, tuple(prepared.classes), posteriors),
    )
    return tmp_path


def test_faces_are_only_in_the_local_report_and_need_the_set(drawn):
    command = ["table", str(drawn / "runs"), "--split", "far", "-o"]
    assert main([*command, str(drawn / "near")]) == 0
    report = (drawn / "near/report.html").read_text()
    assert 'alt="misclassified faces, each with its class, the predicted class and its posterior"' in report
    assert "The most confident mistakes of vgg_s-rgb:" in report
    shutil.rmtree(drawn / "set")
    assert main([*command, str(drawn / "away")]) == 0
    assert "The most confident mistakes" not in (drawn / "away/report.html").read_text()
    for folder in ("near", "away"):
        assert {path.suffix for path in (drawn / folder).iterdir()} == {".md", ".csv", ".html", ".txt"}
    assert json.loads((drawn / "runs/vgg_s-rgb/finetune/scores_far.json").read_text())["set_split"] == "val"
