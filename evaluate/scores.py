"""Class posteriors of a split, their file, and their accuracy."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.csv_cells import csv_lines, read_rows
from emotiw.errors import EmotiwError
from emotiw.files import read_text, whole

# The precision to which a float32 softmax over ten thousand classes sums to 1.
_ROUNDING = 1e-3
# The columns before the classes, without and with groups: by their positions, a class cannot be mistaken for them.
_HEADS = (["path", "label"], ["path", "group", "label"])


@dataclass(frozen=True)
class Scores:
    """The posteriors of every image of a split.

    Attributes
    ----------
    paths
        The images, N of them.
    labels : (N,) int
        Their true classes; all -1 if unknown.
    classes
        The names of the C classes, in label order.
    posteriors : (N, C) float64
        Each row in [0, 1], summing to 1.
    groups
        The group (a person, a movie) of each image; empty if no two images of the set share one, or if unknown.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    posteriors: NDArray[np.float64]
    groups: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the true classes are known; if not, every label is -1 and no accuracy can be computed."""
        return bool((self.labels >= 0).all())

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The most probable class of each image, (N,); at ties the first."""
        return np.asarray(self.posteriors.argmax(axis=1), np.int64)

    @property
    def accuracy(self) -> float:
        """The fraction of correctly classified images, in [0, 1]."""
        return float((self.predictions == self.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The (C, C) counts: rows are true classes, columns predicted ones."""
        matrix = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(matrix, (self.labels, self.predictions), 1)
        return matrix

    @property
    def mean_class_accuracy(self) -> float:
        """The mean of the per-class accuracies, over the classes that have images."""
        totals = self.confusion.sum(axis=1)
        right = self.confusion.diagonal()
        return float((right[totals > 0] / totals[totals > 0]).mean())

    @property
    def majority(self) -> float:
        """The accuracy of always predicting the commonest class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def summary(self, split: str, words: str = "") -> str:
        """Return a one-line summary of labelled scores; `words` name the official split."""
        words = f"{words}; " if words else ""
        return (
            f"accuracy {self.accuracy:.2%}, mean class accuracy {self.mean_class_accuracy:.2%}, "
            f"on {len(self.labels)} {split} images ({words}commonest class: {self.majority:.2%})"
        )


def write_scores(path: Path, scores: Scores) -> None:
    """Write a CSV: path, group where groups are known, label, and one column per class."""
    with whole(path) as temporary:
        temporary.write_bytes(scores_text(scores).encode())


def scores_text(scores: Scores) -> str:
    """Return the CSV that `write_scores` writes."""
    names = zip(scores.paths, scores.groups, strict=True) if scores.groups else zip(scores.paths, strict=True)
    images = zip(names, scores.labels, scores.posteriors, strict=True)
    rows = ([*name, label, *(f"{value:.9g}" for value in row)] for name, label, row in images)
    return "".join(csv_lines([[*_HEADS[bool(scores.groups)], *scores.classes], *rows]))


def read_scores(path: Path) -> Scores:
    """Read a file of `write_scores`.

    Raises
    ------
    EmotiwError
        If there is no such file, or it is not a table of posteriors.
    """
    mend = "make it again with emotiw evaluate --force"
    try:
        text = read_text(path)
        head, *rows = read_rows(io.StringIO(text, newline=""))
        grouped, names = _shape(head)
        scores = Scores(
            tuple(row[0] for row in rows),
            np.array([row[names - 1] for row in rows], np.int64),
            tuple(head[names:]),
            np.array([row[names:] for row in rows], np.float64),
            tuple(row[1] for row in rows) if grouped else (),
        )
        if head[:names] == _HEADS[grouped] and _are_posteriors(scores) and text.endswith("\n"):
            _require_each_once(path, scores.paths)
            return scores
        fault = _fault(head, rows)
    except FileNotFoundError:
        raise EmotiwError(f"{path}: no scores there: make them with emotiw evaluate") from None
    except (ValueError, OverflowError, IndexError):
        fault = _fault(head, rows) if text else ""
    except csv.Error as error:
        fault = f"({error})"
    raise EmotiwError(f"{path} is not a table of scores{fault and f' {fault}'}: {mend}")


def _shape(head: Sequence[str]) -> tuple[bool, int]:
    """Return whether a table has a column of groups, and the number of columns before the classes."""
    grouped = list(head[1:2]) == ["group"]
    return grouped, len(_HEADS[grouped])


def _fault(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the line of the first deviation from the format of a table of scores."""
    grouped, names = _shape(head)
    if head[:names] != _HEADS[grouped] or len(head) < names + 2:
        return "(line 1)"
    for number, row in enumerate(rows, 2):
        try:
            label, posteriors = np.array(row[names - 1 : names], np.int64), np.array([row[names:]], np.float64)
            one = Scores((), label, tuple(head[names:]), posteriors)
        except (ValueError, OverflowError):
            return f"(line {number})"
        if not _are_posteriors(one):
            return f"(line {number})"
    return f"(line {len(rows) + 1})"  # cut off there, or only some labels are known


def _require_each_once(path: Path, images: tuple[str, ...]) -> None:
    """Raise if an image occurs twice, which would make intervals too narrow."""
    if len(set(images)) < len(images):
        first = next(image for image, count in Counter(images).items() if count > 1)
        raise EmotiwError(f"{path} names {first} twice: make it again with emotiw evaluate --force")


def _are_posteriors(scores: Scores) -> bool:
    """Return whether shapes and ranges are those of posteriors; NaN is outside all ranges."""
    labels, posteriors, count = scores.labels, scores.posteriors, len(scores.classes)
    return bool(
        posteriors.shape == (len(labels), count)
        and count >= 2
        and ((labels >= 0).all() or (labels == -1).all())
        and (labels < count).all()
        and (posteriors >= 0).all()
        and (np.abs(posteriors.sum(axis=1) - 1) < _ROUNDING).all()
    )
