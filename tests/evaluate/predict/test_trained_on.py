"""`predict`, `explain` and `serve` detect faces if the nets were trained on detected ones, and report if not."""

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from emotiw.data_prep.prepared_set import PreparedSet, SetFacts
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.faces import Face, looked_for, title, warnings
from emotiw.evaluate.predict.output import FORMATS
from emotiw.evaluate.predict.predictor import Prediction
from emotiw.evaluate.scoring import require
from emotiw.evaluate.serve.examine import Examination
from emotiw.evaluate.serve.page import render

RGB = np.zeros((60, 60, 3), np.uint8)
FOUND, WHOLE = Face("x.png", 1, (5, 5, 40, 40), RGB, RGB[5:45, 5:45]), Face("x.png", 1, None, RGB, RGB)


@pytest.fixture
def model(tmp_path):
    files = (tmp_path / name for name in ("deploy.prototxt", "model.caffemodel", "mean.binaryproto"))
    return Model("vgg_s-rgb/finetune", "vgg_s", "rgb", *files, ("a", "b"), "crop", set_digest="d" * 64)


def kinds(model, *names):
    return [replace(model, faces=name) for name in names]


@pytest.mark.parametrize(
    ("trained", "asked", "detect", "warned"),
    [
        (["whole"], None, False, 0),
        (["whole", "whole"], None, False, 0),
        (["detected"], None, True, 0),
        ([""], None, True, 0),  # released models, and older runs
        (["whole", ""], None, True, 1),
        (["whole", "detected"], None, True, 1),
        (["whole"], True, True, 1),
        (["detected", "detected"], False, False, 2),
        ([""], False, False, 0),
    ],
)
def test_faces_are_detected_as_in_training_or_a_warning_is_given(model, trained, asked, detect, warned):
    models = kinds(model, *trained)
    assert looked_for(models, asked) is detect
    lines = warnings(models, detect=detect)
    assert len(lines) == warned
    given = "detected faces" if detect else "whole pictures"
    assert all(line.startswith("warning: vgg_s-rgb/finetune was trained on ") for line in lines)
    assert all(line.endswith(f" and is given {given}") for line in lines)


def predictor(models):
    return SimpleNamespace(
        models=models, weights=[1 / len(models)] * len(models), describe=lambda: ["run"] * len(models)
    )


@pytest.mark.parametrize("count", [1, 2])
def test_the_mark_is_printed_in_every_format(model, count):
    run = predictor(kinds(model, *["whole"] * count))
    answers = [Prediction(face, np.array([[0.25, 0.75]] * count), np.array([0.25, 0.75])) for face in (FOUND, WHOLE)]
    said = {form: "".join(write(answers, run, 1)) for form, write in FORMATS.items()}
    assert said["text"].count(", trained on whole pictures: b 0.7500\n") == count
    rows = list(csv.DictReader(io.StringIO(said["csv"])))
    assert next(row["model"] for row in rows if row["x"]) == "vgg_s-rgb/finetune, trained on whole pictures"
    assert next(row["model"] for row in rows if not row["x"]) == "vgg_s-rgb/finetune"
    document = json.loads(said["json"])
    assert document["models"][0]["trained_on"] == "whole pictures"
    titles = [title(run.models[0], face) for face in (FOUND, WHOLE)]
    assert [next(iter(one["posteriors"])) for one in document["pictures"]] == titles


def test_the_page_shows_the_mark(model):
    models = kinds(model, "whole", "")
    found = Examination(RGB, [FOUND], 1, {}, models, np.array([[0.25, 0.75]] * 2))
    assert render(found).count("vgg_s-rgb/finetune, trained on whole pictures") == 1
    alone = Examination(RGB, [FOUND], 1, {}, models[:1], np.array([[0.25, 0.75]]))
    assert "by vgg_s-rgb/finetune, trained on whole pictures" in render(alone)
    assert "trained on" not in render(replace(found, faces=[WHOLE]))


def prepared(tmp_path, labels, *, detect):
    return PreparedSet(tmp_path, SetFacts("e" * 64, ["a", "b"], labels, ["rgb"], 256, detect))


@pytest.mark.parametrize(
    ("trained", "detect", "words"),
    [
        ("whole", True, "has detected faces but .* was trained on whole pictures: prepare the set without --detect"),
        ("detected", False, "has whole pictures but .* was trained on detected faces: prepare the set with --detect"),
    ],
)
def test_a_run_is_not_scored_on_faces_cropped_differently(model, tmp_path, trained, detect, words):
    with pytest.raises(EmotiwError, match=words):
        require(replace(model, faces=trained), prepared(tmp_path, "emotions", detect=detect), "val")


def test_a_pretrain_run_is_not_scored_on_people_of_another_set(model, tmp_path):
    with pytest.raises(EmotiwError, match="equal names in another set may be other people: give that set"):
        require(model, prepared(tmp_path, "identities", detect=False), "val")
