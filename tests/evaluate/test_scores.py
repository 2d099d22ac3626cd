from dataclasses import replace

import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.evaluate.scores import Scores, read_scores, write_scores

# Five images of three classes, the third without any; by hand: two of three, and one of two right.
HAND = Scores(
    ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"),
    np.array([0, 0, 0, 1, 1]),
    ("a", "b", "c"),
    np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]]),
)


def test_figures_by_hand():
    assert HAND.predictions.tolist() == [0, 0, 2, 1, 0]  # the first of equal ones
    assert HAND.accuracy == 3 / 5
    assert HAND.confusion.tolist() == [[2, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert HAND.mean_class_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert HAND.majority == 3 / 5


def random_scores(rng):
    count, classes = int(rng.integers(1, 60)), int(rng.integers(2, 12))
    names = tuple(f'class {k}, "quoted" é' for k in range(classes))
    paths = tuple(f"a,b/{k} ü.png" for k in range(count))
    posteriors = rng.dirichlet(np.full(classes, 0.3), count)
    return Scores(paths, rng.integers(0, classes, count), names, posteriors)


def test_figures_agree_with_scikit_learns():
    from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

    for seed in range(50):
        scores = random_scores(np.random.default_rng(seed))
        labels, predicted, known = scores.labels, scores.predictions, np.arange(len(scores.classes))
        assert scores.accuracy == accuracy_score(labels, predicted)
        assert np.array_equal(scores.confusion, confusion_matrix(labels, predicted, labels=known))
        assert scores.confusion.sum() == len(labels)
        recall = recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
        assert scores.mean_class_accuracy == pytest.approx(recall)
        assert scores.majority == pytest.approx(max(np.mean(labels == label) for label in known))


def test_the_file_by_hand(tmp_path):
    write_scores(tmp_path / "scores.csv", HAND)
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[:3] == ["path,label,a,b,c", "a/1.png,0,0.5,0.3,0.2", "a/2.png,0,0.4,0.4,0.2"]


def test_a_class_is_not_mistaken_for_the_column_of_groups(tmp_path):
    """A class may have the name "group" or a group's name: the position of the column decides."""
    grouped = replace(HAND, groups=("m 1", "m 1", "m, 2", "0.5", "a"))
    write_scores(tmp_path / "scores.csv", grouped)
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[:4] == [
        "path,group,label,a,b,c",
        "a/1.png,m 1,0,0.5,0.3,0.2",
        "a/2.png,m 1,0,0.4,0.4,0.2",
        'a/3.png,"m, 2",0,0.1,0.2,0.7',
    ]
    again = read_scores(tmp_path / "scores.csv")
    assert (again.groups, again.classes, again.labels.tolist()) == (grouped.groups, HAND.classes, [0, 0, 0, 1, 1])
    for names in (("group", "b", "label"), ("label", "group", "path")):
        for groups in ((), grouped.groups):
            write_scores(tmp_path / "scores.csv", replace(HAND, classes=names, groups=groups))
            again = read_scores(tmp_path / "scores.csv")
            assert (again.classes, again.groups) == (names, groups)
            np.testing.assert_allclose(again.posteriors, HAND.posteriors)


def test_there_and_back(tmp_path):
    for seed in range(20):
        scores = random_scores(np.random.default_rng(seed))
        if seed % 2:
            scores = replace(scores, groups=tuple(f"group {k % 3}" for k in range(len(scores.paths))))
        write_scores(tmp_path / "scores.csv", scores)
        again = read_scores(tmp_path / "scores.csv")
        assert (again.paths, again.classes, again.groups) == (scores.paths, scores.classes, scores.groups)
        assert np.array_equal(again.labels, scores.labels)
        np.testing.assert_allclose(again.posteriors, scores.posteriors, rtol=1e-8, atol=0)
        assert np.array_equal(again.predictions, scores.predictions)


def test_no_scores_there(tmp_path):
    with pytest.raises(EmotiwError, match="no scores there: make them with emotiw evaluate"):
        read_scores(tmp_path / "scores_val.csv")


HEAD = "path,label,a,b\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        "path,label,a\nx,0,1\n",
        "name,class,a,b\nx,0,0.5,0.5\n",
        HEAD + "x,0,0.5\n",
        HEAD + "x,0,0.5,0.5\ny,1\n",
        HEAD + "x,0,0.5,0.5\n\n",
        HEAD + "x,0,0.5,half\n",
        HEAD + "x,happy,0.5,0.5\n",
        HEAD + "x,2,0.5,0.5\n",
        HEAD + "x,-2,0.5,0.5\n",
        HEAD + "x,55555555555555555555,0.5,0.5\n",
        HEAD + "x,0,nan,nan\n",
        HEAD + "x,0,inf,0\n",
        HEAD + "x,0,0.5,0.\n",  # cut off
        HEAD + "x,0,0.5,0.5",  # cut off in the last figure
        HEAD + "x,0,-0.5,1.5\n",
        HEAD + "x,0,0.5," + "5" * 200_000,
    ],
)
def test_an_invalid_table_of_scores_is_one_line(tmp_path, text):
    path = tmp_path / "scores_val.csv"
    path.write_bytes(text.encode("latin-1"))
    line = r"scores_val\.csv is not a table of scores( \(.+\))?: make it again with emotiw evaluate"
    with pytest.raises(EmotiwError, match=line):
        read_scores(path)
