"""Counts of correct predictions on a split without labels, made by others: `<split>_scores.csv` in the table's folder.

```
name,n,correct          a line for each file of predictions; the ensemble's is named `ensemble`
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
    """The number of correct ones of `n` predictions; None if they are not scored yet."""

    name: str
    n: Annotated[int, Meta(ge=1)]
    correct: Annotated[int, Meta(ge=0)] | None = None

    @property
    def accuracy(self) -> float | None:
        """The share of correct predictions, in [0, 1]; None if they are not scored yet."""
        return None if self.correct is None else self.correct / self.n

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of Clopper and Pearson; a bootstrap would need to know which images are correct."""
        return None if self.correct is None else clopper_pearson(self.correct, self.n)

    @property
    def words(self) -> list[str]:
        """The printed accuracy and interval, in percent."""
        if self.accuracy is None or self.interval is None:
            return [TO_BE_SCORED, ""]
        low, high = self.interval
        return [percent(self.accuracy), f"{percent(low)} - {percent(high)}"]


@dataclass(frozen=True)
class Scored:
    """The counts of a split's predictions.

    Attributes
    ----------
    split
        The split.
    title
        The split's name, with that of its official split if it differs.
    counts
        The counts, by name of the predictions.
    note
        The note that a table prints about them.
    """

    split: str
    title: str
    counts: Mapping[str, Count]
    note: str

    def of(self, line: Line | str, table: Table) -> Count | None:
        """Return the count of a table's figure; None if there is none, as for other averages of the nets."""
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
    """Return the split of a file of counts, from its name: see `Table.name_in_files`."""
    if not path.name.endswith(_SUFFIX) or path.name == _SUFFIX:
        raise UsageError(f"--scored {path}: the file's name must be <split>{_SUFFIX}, with the predictions' split")
    return path.name.removesuffix(_SUFFIX)


def read_scored(path: Path, table: Table) -> Scored:
    """Return the counts in a file, which is in the folder of the predictions.

    Parameters
    ----------
    table
        The table of the split of the predictions.

    Raises
    ------
    EmotiwError
        If a line has another form, names no predictions of the table, occurs twice or has another number of images, or
        the predictions in the file's folder are not those of the table.
    """
    known, split, found = predicted(table), table.name_in_files, {}
    for number, count in enumerate(_counts(path), 2):
        where = f"{path}, line {number}: {count.name}"
        if count.name not in known:
            raise EmotiwError(f"{where} is none of the predictions of {split}: {', '.join(known)}: {_MEND}")
        if count.name in found:
            raise EmotiwError(f"{where} occurs twice: {_MEND}")
        n = len(known[count.name].paths)
        if count.n != n or (count.correct or 0) > n:
            raise EmotiwError(f"{where} has n {count.n} and correct {count.correct}, but there are {n} images: {_MEND}")
        beside = predictions_file(path.parent, split, count.name)
        if not _is(beside, predictions_text(known[count.name])):
            raise EmotiwError(
                f"{where}: {beside.name} beside it is missing or does not have the predictions of these scores, so the "
                "count may belong to another net: write the predictions by emotiw table --split, and have them scored"
            )
        found[count.name] = count
    found |= {name: Count(name, len(scores.paths)) for name, scores in known.items() if name not in found}
    return Scored(table.protocol.split, f"{table.protocol.split}{table.beside}", found, _note(table))


def _note(table: Table) -> str:
    """Return the note about counts on the split of a table."""
    title, first = f"{table.protocol.split}{table.beside}", table.filled[0]
    sentences = [
        f"{title}, scored by others: the predictions were counted by someone who has the labels, not by emotiw; "
        "intervals of Clopper and Pearson. For a row with several trainings, the predictions are of the lowest seed."
    ]
    if first.weights:
        sentences.append(frozen(first.cells, first.validated))
    names = [cell.name for column in table.filled for cell in column.cells]
    return " ".join([*sentences, *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in table.marks.of(names))])


def unscored(path: Path, table: Table, *, force: bool) -> tuple[str, list[str]]:
    """Return the text of a file of counts for a table's predictions, and the names of counts that it drops.

    An existing count is kept if the predictions in the folder are still those of the table, so call this before they
    are written.

    Raises
    ------
    EmotiwError
        If a count would be dropped and `force` is false.
    """
    split, known = table.name_in_files, predicted(table)
    held = {one.name: one.correct for one in _counts(path)} if path.is_file() else {}
    filled = {name for name, correct in held.items() if correct is not None}
    same = {
        name
        for name, scores in known.items()
        if _is(predictions_file(path.parent, split, name), predictions_text(scores))
    }
    dropped = sorted(filled - same)
    if dropped and not force:
        raise EmotiwError(
            f"{path} has a count for {dropped[0]} that belongs to other predictions: give --force to drop it"
        )
    rows = [[name, len(scores.paths), held.get(name) if name in same else None] for name, scores in known.items()]
    return "".join(csv_lines([["name", "n", "correct"], *rows])), dropped


def _counts(path: Path) -> list[Count]:
    return [count for count, _ in read_table(path, Count, _MEND)]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and read_text(path) == text
