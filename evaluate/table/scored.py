"""Predictions of a split without labels, scored by whoever holds them: `<split>_scores.csv` beside the predictions.

```
name,n,correct          a line for each file of predictions; `ensemble` is the ensemble's
vgg_s-rgb,3589,         to be scored
ensemble,3589,2411      scored
```
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from tabulate import tabulate

from emotiw.csv_cells import csv_lines
from emotiw.csv_table import read_table
from emotiw.errors import EmotiwError, UsageError
from emotiw.evaluate.label_lists import predictions_text
from emotiw.files import read_text

from .frozen import frozen
from .predictions import ENSEMBLE, name_of, predicted, predictions_file
from .results import Table
from .rows import Line, percent
from .statistics import clopper_pearson

TO_BE_SCORED = "to be scored"
_SUFFIX = "_scores.csv"
_MEND = "give the lines name,n,correct that emotiw table wrote, with the counts filled in"


@dataclass(frozen=True)
class Count:
    """How many of `n` predictions were right; None where they are not scored yet."""

    name: str
    n: Annotated[int, Meta(ge=1)]
    correct: Annotated[int, Meta(ge=0)] | None = None

    @property
    def accuracy(self) -> float | None:
        """The share of right ones."""
        return None if self.correct is None else self.correct / self.n

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of Clopper and Pearson: which images are right is not known, so none are resampled."""
        return None if self.correct is None else clopper_pearson(self.correct, self.n)

    @property
    def words(self) -> list[str]:
        """Accuracy and interval as a table prints them."""
        if self.accuracy is None or self.interval is None:
            return [TO_BE_SCORED, ""]
        low, high = self.interval
        return [percent(self.accuracy), f"{percent(low)} - {percent(high)}"]


@dataclass(frozen=True)
class Scored:
    """The counts of a split's predictions, by name, and what must be said of them.

    `title` is the split's name with the official one that it is, if that has another name.
    """

    split: str
    title: str
    counts: Mapping[str, Count]
    said: str

    def of(self, line: Line | str, table: Table) -> Count | None:
        """Return the count of a table's figure; None where there is none, as of other ways to average the nets."""
        if isinstance(line, str):
            return None
        if line.cell:
            return self.counts.get(name_of(line.cell))
        first = table.filled[0]
        answer = bool(first.averages) and line.place == (ENSEMBLE, first.averages[0].name)
        return self.counts.get(ENSEMBLE) if answer and line.provenance is first.provenance else None

    @property
    def text(self) -> str:
        """The counts as a table in Markdown."""
        lines = [[one.name, one.n, one.correct, *one.words] for one in self.counts.values()]
        head = [f"{self.title}, scored by others", "n", "correct", "accuracy", "95 % interval"]
        return tabulate(lines, head, "github", disable_numparse=True, missingval="")


def split_of(path: Path) -> str:
    """Return the split that a file of counts is of, by its name."""
    if not path.name.endswith(_SUFFIX) or path.name == _SUFFIX:
        raise UsageError(f"--scored {path}: its name says the split of the predictions: <split>{_SUFFIX}")
    return path.name.removesuffix(_SUFFIX)


def read_scored(path: Path, table: Table) -> Scored:
    """Return the counts in a file, which stands beside the predictions that they are of.

    Parameters
    ----------
    table
        The table of the split of the predictions.

    Raises
    ------
    EmotiwError
        If a line has another form, names no predictions of the table, comes twice or has another number of images, or
        the predictions beside the file are not those of the table.
    """
    known, split, found = predicted(table), table.protocol.split, {}
    for number, count in enumerate(_counts(path), 2):
        where = f"{path}, line {number}: {count.name}"
        if count.name not in known:
            raise EmotiwError(f"{where} is none of the predictions of {split}: {', '.join(known)}: {_MEND}")
        if count.name in found:
            raise EmotiwError(f"{where} comes twice: {_MEND}")
        n = len(known[count.name].paths)
        if count.n != n or (count.correct or 0) > n:
            raise EmotiwError(f"{where} has n {count.n} and correct {count.correct}, and there are {n} images: {_MEND}")
        beside = predictions_file(path.parent, split, count.name)
        if not _is(beside, predictions_text(known[count.name])):
            raise EmotiwError(
                f"{where}: {beside.name} beside it is missing, or has not the predictions of these scores: the count "
                "would be of another net: write the predictions by emotiw table --split, and have them scored"
            )
        found[count.name] = count
    return Scored(split, f"{split}{table.beside}", found, _said(table))


def _said(table: Table) -> str:
    """Return what must be said of figures on the split of a table, whoever counted them."""
    title, first = f"{table.protocol.split}{table.beside}", table.filled[0]
    said = [
        f"{title}, scored by others: counted from the predictions by whoever holds the labels, not by emotiw; "
        "intervals of Clopper and Pearson. Of a row with several trainings it is the one of the lowest seed."
    ]
    if first.weights:
        said.append(frozen(first.cells, first.validated))
    names = [cell.name for column in table.filled for cell in column.cells]
    return " ".join([*said, *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in table.marks.of(names))])


def unscored(path: Path, table: Table, *, force: bool) -> tuple[str, list[str]]:
    """Return the text of a file of counts for a table's predictions, and whose counts are dropped.

    A count that is there is kept where the predictions beside it are still these; call it before they are written.

    Raises
    ------
    EmotiwError
        If a count would be dropped, and `force` is not given.
    """
    split, known = table.protocol.split, predicted(table)
    held = {one.name: one.correct for one in _counts(path)} if path.is_file() else {}
    filled = {name for name, correct in held.items() if correct is not None}
    same = {
        name
        for name, scores in known.items()
        if _is(predictions_file(path.parent, split, name), predictions_text(scores))
    }
    dropped = sorted(filled - same)
    if dropped and not force:
        raise EmotiwError(f"{path} has the count of other predictions of {dropped[0]}: give --force to drop it")
    rows = [[name, len(scores.paths), held.get(name) if name in same else None] for name, scores in known.items()]
    return "".join(csv_lines([["name", "n", "correct"], *rows])), dropped


def _counts(path: Path) -> list[Count]:
    return [count for count, _ in read_table(path, Count, _MEND)]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and read_text(path) == text
