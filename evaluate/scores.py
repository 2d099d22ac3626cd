"""Class posteriors of a split, their file, and what they are worth; predictions in the challenge's form."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.emotions import emotion_named
from emotiw.errors import EmotiwError
from emotiw.files import read_text, whole

# A softmax in float32 over ten thousand classes sums to 1 no better.
_ROUNDING = 1e-3
# The columns before the classes, without and with groups: at places where no class can be taken for them.
_HEADS = (["path", "label"], ["path", "group", "label"])


@dataclass(frozen=True)
class Scores:
    """The posteriors of every image of a split.

    Attributes
    ----------
    paths
        The images, N of them.
    labels : (N,) int
        Their true classes; -1, all of them, where nobody knows.
    classes
        The names of the C classes, in label order.
    posteriors : (N, C) float64
        Each row in [0, 1], summing to 1.
    groups
        The group (a person, a movie) of each image; empty where no two images of the set share one, or nobody noted it.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    posteriors: NDArray[np.float64]
    groups: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the true classes are known; where they are not, every label is -1 and no figure can be given."""
        return bool((self.labels >= 0).all())

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The likeliest class of each image, (N,); of equals the first."""
        return np.asarray(self.posteriors.argmax(axis=1), np.int64)

    @property
    def accuracy(self) -> float:
        """The share of images named rightly, in [0, 1]."""
        return float((self.predictions == self.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The (C, C) counts: rows are true classes, columns predicted ones."""
        matrix = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(matrix, (self.labels, self.predictions), 1)
        return matrix

    @property
    def mean_class_accuracy(self) -> float:
        """The mean of the classes' own accuracies, over the classes that have images."""
        totals = self.confusion.sum(axis=1)
        right = self.confusion.diagonal()
        return float((right[totals > 0] / totals[totals > 0]).mean())

    @property
    def majority(self) -> float:
        """The accuracy of always naming the commonest class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def summary(self, split: str) -> str:
        """Return what a command prints of labelled scores, in a line."""
        return (
            f"accuracy {self.accuracy:.2%}, mean class accuracy {self.mean_class_accuracy:.2%}, "
            f"on {len(self.labels)} {split} images (commonest class: {self.majority:.2%})"
        )


def write_scores(path: Path, scores: Scores) -> None:
    """Write a CSV: path, group where groups are known, label, and one column a class."""
    with whole(path) as temporary:
        temporary.write_bytes(scores_text(scores).encode())


def scores_text(scores: Scores) -> str:
    """Return the CSV that `write_scores` writes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_HEADS[bool(scores.groups)], *scores.classes])
    names = zip(scores.paths, scores.groups, strict=True) if scores.groups else zip(scores.paths, strict=True)
    for name, label, row in zip(names, scores.labels, scores.posteriors, strict=True):
        writer.writerow([*name, label, *(f"{value:.9g}" for value in row)])
    return text.getvalue()


def read_scores(path: Path) -> Scores:
    """Read what `write_scores` wrote.

    Raises
    ------
    EmotiwError
        Where there is no such file, or it is no table of posteriors.
    """
    mend = "make it anew with emotiw evaluate --force"
    try:
        text = read_text(path)
        head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        grouped, names = _shape(head)
        scores = Scores(
            tuple(row[0] for row in rows),
            np.array([row[names - 1] for row in rows], np.int64),
            tuple(head[names:]),
            np.array([row[names:] for row in rows], np.float64),
            tuple(row[1] for row in rows) if grouped else (),
        )
        if head[:names] == _HEADS[grouped] and _are_posteriors(scores) and text.endswith("\n"):
            return scores
        fault = _fault(head, rows)
    except FileNotFoundError:
        raise EmotiwError(f"{path}: no scores there: make them with emotiw evaluate") from None
    except (ValueError, OverflowError, IndexError):
        fault = _fault(head, rows) if text else ""
    except csv.Error as error:
        fault = f"({error})"
    raise EmotiwError(f"{path} is no table of scores{fault and f' {fault}'}: {mend}")


def _shape(head: Sequence[str]) -> tuple[bool, int]:
    """Return whether a table has a column of groups, and how many columns stand before the classes."""
    grouped = list(head[1:2]) == ["group"]
    return grouped, len(_HEADS[grouped])


def _fault(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return where the first thing stands that is not as in a table of scores."""
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
    return f"(line {len(rows) + 1})"  # cut off there, or labels known of some alone


def _are_posteriors(scores: Scores) -> bool:
    """Return whether shapes and ranges are those of posteriors; NaN is in no range."""
    labels, posteriors, count = scores.labels, scores.posteriors, len(scores.classes)
    return bool(
        posteriors.shape == (len(labels), count)
        and count >= 2
        and ((labels >= 0).all() or (labels == -1).all())
        and (labels < count).all()
        and (posteriors >= 0).all()
        and (np.abs(posteriors.sum(axis=1) - 1) < _ROUNDING).all()
    )


def predictions_text(scores: Scores) -> str:
    """Return one line an image: its file's name, and the class predicted, by name."""
    named = (scores.classes[label] for label in scores.predictions)
    return "".join(f"{PurePosixPath(path).name} {name}\n" for path, name in zip(scores.paths, named, strict=True))


def read_truth(path: Path, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the label of each image that a file of lines `<name> <label>` names.

    The name may leave its ending out; the label is a class's name, also as other sets spell it, or its number.

    Raises
    ------
    EmotiwError
        Where a line has another form, a label is none of the classes, or a name comes twice.
    """
    truth: dict[str, int] = {}
    lines = read_text(path).splitlines()
    numbers = {str(number): number for number in range(len(classes))} | {name: k for k, name in enumerate(classes)}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        known = numbers.get(label, numbers.get(emotion_named(label) or ""))
        stem = PurePosixPath(name.strip()).stem
        if not stem or known is None:
            raise EmotiwError(f"{path}, line {number}: give <name> <label>, the label one of {', '.join(classes)}")
        if stem in truth:
            raise EmotiwError(f"{path}, line {number}: {stem} comes twice: give each image one label")
        truth[stem] = known
    return truth


def true_labels(paths: Sequence[str], classes: tuple[str, ...], where: Path) -> NDArray[np.int64]:
    """Return the (N,) labels of images by the file `where`; every image needs one there.

    Raises
    ------
    EmotiwError
        Where an image has none, or the file is not as `read_truth` wants it.
    """
    truth = read_truth(where, classes)
    stems = [PurePosixPath(path).stem for path in paths]
    if missing := [stem for stem in stems if stem not in truth]:
        raise EmotiwError(f"{where} has no label for {len(missing)} of the images, such as {missing[0]}")
    return np.array([truth[stem] for stem in stems], np.int64)
