"""A split without labels: predictions are written, true labels are read."""

from dataclasses import replace

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.class_list import EMOTION_LIST
from emotiw.errors import EmotiwError
from emotiw.evaluate.label_lists import predictions_text, true_labels
from emotiw.evaluate.scores import Scores, read_scores, write_scores

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
PATHS = ("Test/Airheads_000519240_00000005.png", "Test/Bridesmaids_000519240_00000006.png")


@pytest.fixture
def unlabelled():
    return Scores(PATHS, np.array([-1, -1]), CLASSES, np.eye(7)[[3, 5]])


def test_predictions_by_hand(unlabelled):
    assert predictions_text(unlabelled) == (
        "Airheads_000519240_00000005.png Happy\nBridesmaids_000519240_00000006.png Sad\n"
    )


def test_scores_without_labels_there_and_back(unlabelled, tmp_path):
    write_scores(tmp_path / "scores.csv", unlabelled)
    assert not read_scores(tmp_path / "scores.csv").labelled
    half = Scores(PATHS, np.array([-1, 3]), CLASSES, unlabelled.posteriors)
    write_scores(tmp_path / "half.csv", half)
    with pytest.raises(EmotiwError, match="not a table of scores"):
        read_scores(tmp_path / "half.csv")


@pytest.mark.parametrize("label", ["Happy", "happiness", "3"])
def test_truth_by_name_alias_or_number(unlabelled, tmp_path, label):
    truth = tmp_path / "truth.txt"
    truth.write_text(f"Airheads_000519240_00000005 {label}\nBridesmaids_000519240_00000006.png Angry\n\n")
    labelled = replace(unlabelled, labels=true_labels(unlabelled.paths, EMOTION_LIST, truth))
    assert labelled.labels.tolist() == [3, 0]
    assert labelled.accuracy == 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png Contempt\n", "line 1: give <name> <label>"),
        ("a.png\n", "line 1: give <name> <label>"),
        ("a.png Happy\na.jpg Sad\n", "line 2: a occurs twice"),
        ("a.png 7\n", "line 1: give <name> <label>"),
        ("a.png Happy\n", "no label for 2 of the images, such as Test/Airheads_000519240_00000005"),
    ],
)
def test_invalid_truth_files(unlabelled, tmp_path, text, words):
    truth = tmp_path / "truth.txt"
    truth.write_text(text)
    with pytest.raises(EmotiwError, match=words):
        true_labels(unlabelled.paths, EMOTION_LIST, truth)


def test_a_split_without_labels_gets_the_ensembles_predictions(make_run, answers, tmp_path, capsys):
    """The weights are fitted on val, where the second net is always right and the first never."""
    val = list(range(7))
    for row, val_answers, test_answers in (("vgg_s-rgb", [1] + [0] * 6, [2, 2]), ("vgg_s-lbp", val, [3, 4])):
        make_run(row, answers(*val_answers), val)
        make_run(row, answers(*test_answers), [-1, -1], split="test")
    command = ["table", str(tmp_path / "runs"), "-o", str(tmp_path / "table"), "--split", "test"]
    assert main(command) == 0
    assert "no labels" in capsys.readouterr().out
    lines = (tmp_path / "table/predictions_test.txt").read_text().splitlines()
    assert [line.split(" ")[1] for line in lines] == ["Happy", "Neutral"]
    assert not (tmp_path / "table/table.md").exists()
