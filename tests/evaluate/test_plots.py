import numpy as np
import pytest
from matplotlib.figure import Figure

from emotiw.data_prep import prepared_set as data_prep_sets
from emotiw.data_prep.prepared_set import open_set
from emotiw.evaluate.plots import confusion_picture, faces_picture
from emotiw.evaluate.scores import Scores

OWN = "cyclic_lbp_r3_t5"


@pytest.fixture
def drawn(monkeypatch):
    """The figures, when they are written."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kwargs: (figures.append(self), save(self, *args, **kwargs))
    )
    return figures


def scores(classes, count=12):
    labels = np.arange(count) % classes
    posteriors = np.eye(classes)[(labels + (np.arange(count) == 0)) % classes]  # only the first image is misclassified
    return Scores(tuple(map(str, range(count))), labels, tuple(f"class {k}" for k in range(classes)), posteriors)


def test_a_confusion_matrix_by_hand(drawn, tmp_path):
    confusion_picture(scores(3), "vgg_s-rgb, val", tmp_path / "picture.png")
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "0", "4", "0", "0", "0", "4"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 0", "class 1", "class 2"]
    assert axes.get_title() == "vgg_s-rgb, val: 91.7%"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert (tmp_path / "picture.png").read_bytes()[1:4] == b"PNG"


def test_a_confusion_matrix_of_many_people_has_no_names(drawn, tmp_path):
    confusion_picture(scores(40, 50), "vgg_s-rgb, val", tmp_path / "picture.png")
    assert len(drawn[0].axes[0].texts) == 0


def test_only_the_faces_that_are_shown_are_decoded(sets, tmp_path, monkeypatch):
    decode, decoded = data_prep_sets.decode, []
    monkeypatch.setattr(data_prep_sets, "decode", lambda datum: decoded.append(datum) or decode(datum))
    prepared = open_set(sets / "expressions")
    faces_picture(prepared, "train", tmp_path / "faces.png")
    assert len(decoded) == 7 * 3 < prepared.count("train") * 3


def test_faces_as_the_lmdbs_hold_them(sets, drawn, tmp_path):
    prepared = open_set(sets / "expressions")
    faces_picture(prepared, "val", tmp_path / "faces.png")
    grid = np.array(drawn[0].axes).reshape(3, 7)
    assert [axes.get_title() for axes in grid[0]] == prepared.classes
    assert [row[0].get_ylabel() for row in grid] == ["rgb", "cyclic_lbp", OWN]
    for row, name in zip(grid, ("rgb", "cyclic_lbp", OWN), strict=True):
        records = list(prepared.records(name, "val"))
        for label, axes in enumerate(row):
            shown = np.asarray(axes.images[0].get_array())[..., ::-1].transpose(2, 0, 1)  # B, G, R as in a blob
            assert label in [record.label for record in records if np.array_equal(record.blob, shown)]
    shown = [np.asarray(axes.images[0].get_array()).mean(axis=(0, 1)) for axes in grid[0]]
    assert np.mean(shown, axis=0)[0] > np.mean(shown, axis=0)[2]  # skin is red rather than blue
