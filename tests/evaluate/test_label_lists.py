"""The image that a line `<name> <label>` means; written predictions can be scored."""

import numpy as np
import pytest

from emotiw.data_prep.class_list import exact_names, own_classes
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.errors import EmotiwError
from emotiw.evaluate.label_lists import predictions_text, true_labels
from emotiw.evaluate.scores import Scores, read_scores

CLASSES = ("Angry", "Happy", "Sad")


@pytest.fixture
def listed(tmp_path):
    def write(text):
        (tmp_path / "truth.txt").write_text(text)
        return tmp_path / "truth.txt"

    return write


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["a/x.png", "b/x.png"], "b/x.png Sad\na/x.png Happy\n"),
        (["a/x.png", "b/x.png"], "b/x Sad\na/x Happy\n"),
        (["c/a/x.png", "c/b/x.png"], "b/x Sad\na/x.png Happy\n"),
        (["a/x.png", "b/x.png"], "SFEW/Test/b/x Sad\nSFEW/Test/a/x Happy\n"),  # a folder that contains the set's source
        (["x.png", "a/x.png"], "a/x.png Sad\nx.png Happy\n"),  # a whole path means itself
        (["x.png", "x.jpg"], "x.jpg Sad\nx.png Happy\n"),
        (["x.png", "x.1.png"], "x.1 Sad\nx Happy\n"),  # the part after the last point is not a suffix
        (["x.png", "y.png"], "y.jpg Sad\nx.tif Happy\nother Sad\n"),
        (["x y.png", "z.png"], "x y Happy\nz Sad\n"),
    ],
)
def test_names_mean_images_by_the_end_of_their_paths(listed, paths, text):
    assert true_labels(paths, exact_names(CLASSES), listed(text)).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("paths", "text", "words"),
    [
        (["a/x.png", "b/x.png"], "x Sad\n", r"line 1: it means a/x\.png and b/x\.png: give more of the path"),
        (["a/x.png", "b/x.png"], "a/x Sad\nx.png Sad\n", r"line 2: it means a/x\.png and b/x\.png"),
        (["a/x.png", "a/x.jpg"], "a/x Sad\n", r"line 1: it means a/x\.png and a/x\.jpg"),
        (["a/x.png"], "x Sad\na/x.png Happy\n", r"line 2: a/x\.png occurs twice \(line 1\)"),
        (["a/x.png"], "x Sad\nx Sad\n", r"line 2: a/x\.png occurs twice"),
        (["a/xy.png"], "y Sad\n", r"no label for 1 of the images, such as a/xy\.png"),  # parts of a path, not letters
        (["a/x.png"], "b/x Sad\n", r"no label for 1 of the images"),
        (["x.png"], ". Sad\n/ Sad\n", r"no label for 1 of the images"),
    ],
)
def test_what_is_not_clear_is_refused(listed, paths, text, words):
    with pytest.raises(EmotiwError, match=words):
        true_labels(paths, exact_names(CLASSES), listed(text))


def test_labels_are_those_of_the_sets_classes(listed):
    classes, paths = own_classes(["positive: happy", "negative: sad"]), ["x.png", "y.png", "z.png"]
    assert true_labels(paths, classes, listed("x joy\ny negative\nz 0\n")).tolist() == [0, 1, 0]
    with pytest.raises(EmotiwError, match="the label one of positive, negative"):
        true_labels(paths, classes, listed("x Fear\ny negative\nz 0\n"))


def test_a_number_is_no_position_if_it_may_be_a_name(listed):
    """Of the classes 1 and 2, the label 1 is the first, not the second."""
    assert true_labels(["x.png", "y.png"], exact_names("12"), listed("x 1\ny 2\n")).tolist() == [0, 1]
    with pytest.raises(EmotiwError, match="the label one of 1, 2"):
        true_labels(["x.png", "y.png"], exact_names("12"), listed("x 0\ny 1\n"))


def test_the_sets_own_labels_stay_and_are_not_contradicted(listed):
    paths, known = ["x.png", "y.png", "z.png"], [1, -1, -1]
    assert true_labels(paths, exact_names(CLASSES), listed("y Sad\nz Happy\n"), known).tolist() == [1, 2, 1]
    assert true_labels(paths, exact_names(CLASSES), listed("x Happy\ny Sad\nz Happy\n"), known).tolist() == [1, 2, 1]
    with pytest.raises(EmotiwError, match=r"own labels of 1 images, such as x\.png \(Sad, in the set Happy\)"):
        true_labels(paths, exact_names(CLASSES), listed("x Sad\ny Sad\nz Happy\n"), known)
    with pytest.raises(EmotiwError, match=r"no label for 1 of the images, such as z\.png"):
        true_labels(paths, exact_names(CLASSES), listed("y Sad\n"), known)


@pytest.mark.parametrize(
    "paths",
    [
        ("Test/a.png", "Test/b.png", "Test/c.png"),
        ("a/1.png", "b/1.png", "1.png"),
        ("a/1.png", "a/1.jpg", "a/1.2.png"),
        ("p 1/x y.png", "p/1 x.png", "x y.png"),
    ],
)
@pytest.mark.parametrize("classes", [EMOTIONS, ("Ann", "Ann Smith", "Smith", "1")])
def test_predictions_score_again(listed, paths, classes):
    posteriors = np.eye(len(classes))[[1, 2, 0]]
    scores = Scores(paths, np.array([-1] * 3), tuple(classes), posteriors)
    written = predictions_text(scores)
    assert true_labels(paths, exact_names(classes), listed(written)).tolist() == [1, 2, 0]
    names_are_enough = len({path.rpartition("/")[2].rpartition(".")[0] for path in paths}) == 3
    assert written.startswith(f"{paths[0].rpartition('/')[2] if names_are_enough else paths[0]} ")


def test_scores_that_name_an_image_twice_are_refused(tmp_path):
    """If all were counted twice, the figure would be equal but the interval narrower."""
    rows = "a/x.png,0,0.5,0.5\nb/x.png,1,0.5,0.5\n"
    (tmp_path / "scores.csv").write_text(f"path,label,a,b\n{rows}{rows}")
    with pytest.raises(EmotiwError, match=r"scores\.csv names a/x\.png twice: make it again"):
        read_scores(tmp_path / "scores.csv")
