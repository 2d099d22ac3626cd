"""The errors of a table: confusion matrix, accuracy by class, accuracy without training images, worst mistakes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from emotiw.csv_cells import csv_lines
from emotiw.errors import EmotiwError
from emotiw.evaluate.scores import Scores
from emotiw.evaluate.trained_on import NOT_KNOWN, positions
from emotiw.text import counted

from .predictions import ENSEMBLE, predicted
from .results import Table
from .rows import percent
from .statistics import Interval, interval

MOST_CLASSES = 20
"""With more classes (people), no figures by class are printed."""
MOST_MISTAKES = 12

_ALL, _UNSEEN = "all", "not trained on"


@dataclass(frozen=True)
class Part:
    """A figure on a part of the images.

    Attributes
    ----------
    name
        The net or the ensemble.
    images
        "all" or "not trained on".
    label
        The class; empty for all classes.
    counts
        The number of images predicted as each class.
    correct
        The number of correct predictions.
    interval
        The 95 % interval of the accuracy.
    """

    name: str
    images: str
    label: str
    counts: tuple[int, ...]
    correct: int
    interval: Interval

    @property
    def n(self) -> int:
        """The number of images."""
        return sum(self.counts)

    @property
    def words(self) -> list[str]:
        """Accuracy and interval as a table prints them."""
        return [percent(self.correct / self.n), f"{percent(self.interval.low)} - {percent(self.interval.high)}"]


@dataclass(frozen=True)
class Mistake:
    """A misclassified image: its true class, the predicted class and its posterior, in [0, 1]."""

    path: str
    truth: str
    predicted: str
    posterior: float


@dataclass(frozen=True)
class Errors:
    """The errors of a table.

    Attributes
    ----------
    labels
        The classes; empty if there are more than `MOST_CLASSES`.
    classes
        For each figure, by name, the accuracy by class: first the ensemble (or the only net), then each net.
    totals
        The same figures on all images and, if a net was trained on some of them, on those that no net was trained on.
    seen
        A sentence about the images that a net was trained on.
    mistakes
        Mistakes of the first figure, the most confident first.
    """

    labels: tuple[str, ...]
    classes: dict[str, list[Part]]
    totals: list[Part]
    seen: str
    mistakes: list[Mistake]

    @property
    def title(self) -> str:
        """The figure that the confusion matrix and the mistakes belong to."""
        return self.totals[0].name

    @property
    def confusion(self) -> list[list[str]]:
        """The confusion matrix with its head, as rows of words; empty if there are too many classes."""
        if not self.labels:
            return []
        head = ["true \\ predicted", *self.labels, "n", "accuracy", "95 % interval"]
        rows = [[part.label, *map(str, part.counts), str(part.n), *part.words] for part in self.classes[self.title]]
        return [head, *rows]

    @property
    def by_class(self) -> list[list[str]]:
        """The accuracies of each figure by class with their head; empty if there are too many classes."""
        if not self.labels:
            return []
        rows = [[name, *(part.words[0] for part in parts)] for name, parts in self.classes.items()]
        return [["", *(part.label for part in self.classes[self.title])], *rows]

    @property
    def unseen(self) -> list[list[str]]:
        """Each figure on all images and without training images, with their head; empty if there are none."""
        whole = {part.name: part.words[0] for part in self.totals if part.images == _ALL}
        rows = [[part.name, whole[part.name], *part.words] for part in self.totals if part.images == _UNSEEN]
        return [["", "all images", "without these", "95 % interval"], *rows] if rows else []

    def markdown(self, lines: Sequence[str]) -> str:
        """Return the numbers as Markdown below `lines`."""
        parts = ["\n".join(lines)]
        for sentence, rows in (
            (f"Predicted classes of each true class, by {self.title}:", self.confusion),
            ("Accuracy by class in %:", self.by_class),
            (self.seen, self.unseen),
        ):
            if rows or sentence == self.seen:
                parts.append(sentence)
            if rows:
                parts.append(tabulate(rows, "firstrow", "github", disable_numparse=True))
        return "\n\n".join(parts) + "\n"

    def csv(self) -> str:
        """Return the numbers as CSV in long form: a line for each figure and class, then the totals."""
        head = ["name", "images", "class", "n", "correct", "accuracy", "low", "high", *(f"as {c}" for c in self.labels)]
        parts = [*(part for parts in self.classes.values() for part in parts), *self.totals]
        return "".join(csv_lines([head, *map(self._row, parts)]))

    def _row(self, part: Part) -> list[object]:
        figures = (part.correct / part.n, part.interval.low, part.interval.high)
        cells = [part.name, part.images, part.label, part.n, part.correct, *(f"{figure:.6f}" for figure in figures)]
        return [*cells, *(part.counts if self.labels else ())]


def errors(table: Table) -> Errors:
    """Return the errors of a table; for a row with several trainings, those of the lowest seed."""
    seen, sentence = _seen(table)
    answer = f"ensemble: {table.answer.name}" if table.filled[0].averages else table.answer.name
    titles = {cell.name: cell.title for column in table.filled for cell in column.cells if not cell.facts}
    titles[ENSEMBLE] = answer
    named = {titles.get(name, name): scores for name, scores in predicted(table).items()}
    classes = table.scores.classes if len(table.scores.classes) <= MOST_CLASSES else ()
    every = np.ones(len(seen), bool)
    totals = [_part(name, scores, table, every) for name, scores in named.items()]
    if seen.any() and not seen.all():
        totals += [_part(name, scores, table, ~seen, _UNSEEN) for name, scores in named.items()]
    by_class = {name: list(_by_class(name, scores, table)) for name, scores in named.items()} if classes else {}
    return Errors(tuple(classes), by_class, totals, sentence, _mistakes(table.answer.scores))


def _by_class(name: str, scores: Scores, table: Table) -> Iterator[Part]:
    for number, label in enumerate(scores.classes):
        if (of_class := scores.labels == number).any():
            yield _part(name, scores, table, of_class, label=label)


def _part(
    name: str, scores: Scores, table: Table, which: NDArray[np.bool_], images: str = _ALL, label: str = ""
) -> Part:
    """Return a figure on the images `which`, (N,) bool."""
    right = (scores.predictions == scores.labels)[which]
    groups = [group for group, one in zip(table.groups, which, strict=True) if one] if table.groups else []
    counts = np.bincount(scores.predictions[which], minlength=len(scores.classes))
    return Part(name, images, label, tuple(map(int, counts)), int(right.sum()), interval(right, groups))


def _seen(table: Table) -> tuple[NDArray[np.bool_], str]:
    """Return which images any net of a table was trained on, (N,) bool, and a sentence about that."""
    n, split = len(table.scores.labels), table.protocol.split
    cells = [one for column in table.filled for cell in column.cells for one in cell.trainings]
    seen, known = np.zeros(n, bool), True
    for cell in cells:
        stages = [one.images for one in cell.protocol.trained_on]
        known = known and bool(stages) and NOT_KNOWN not in stages and (bool(cell.protocol.seen) or not any(stages))
        try:
            seen |= positions(cell.protocol.seen, n)
        except ValueError as error:
            raise EmotiwError(f"{cell.folder}: {error}: evaluate again with --force") from None
    verb = "is" if seen.sum() == 1 else "are"
    sentence = (
        f"Of the {counted(n, f'{split} image')}, {seen.sum()} {verb} also among the training images of a net, by pixels"
    )
    return seen, f"{sentence}." if known else f"{sentence}; for some nets or stages this is not known."


def _mistakes(scores: Scores) -> list[Mistake]:
    predictions = scores.predictions
    wrong = np.flatnonzero(predictions != scores.labels)
    posteriors = scores.posteriors[wrong, predictions[wrong]]
    first = wrong[np.argsort(-posteriors, kind="stable")][:MOST_MISTAKES]
    return [
        Mistake(
            scores.paths[image],
            scores.classes[scores.labels[image]],
            scores.classes[predictions[image]],
            float(scores.posteriors[image, predictions[image]]),
        )
        for image in first
    ]
