"""Comparison of two tables of the same experiment: digests that must be equal, figures that must agree."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from emotiw.data_prep.class_list import difference
from emotiw.errors import EmotiwError
from emotiw.evaluate.scores import Scores
from emotiw.inputs import Input

from .cells import Cell
from .results import Table
from .rows import percent
from .statistics import Interval, newcombe, spread_interval

_ENSEMBLE = "ensemble"
_FROM_FILES = ("LMDB", "colours")  # roles of inputs that are equal to the byte if source files and version are


@dataclass(frozen=True)
class Line:
    """The two figures of a row.

    Attributes
    ----------
    ours, theirs
        Accuracies in [0, 1]; None if there is none.
    between
        The 95 % interval of the difference; None if the two were not compared.
    test
        The method of the interval.
    why
        Why the two were not compared.
    """

    name: str
    ours: float | None
    theirs: float | None
    between: Interval | None = None
    test: str = ""
    why: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether the interval contains 0; None if the two were not compared."""
        return None if self.between is None else self.between.low <= 0 <= self.between.high

    @property
    def words(self) -> list[str]:
        """The cells of a printed table."""
        figures = [percent(one) if one is not None else "" for one in (self.ours, self.theirs)]
        if self.between is None or self.ours is None or self.theirs is None:
            return [self.name, *figures, "", "", "", self.why]
        between = f"{self.between.low * 100:+.2f} to {self.between.high * 100:+.2f}"
        verdict = "agrees" if self.agrees else "DIFFERS"
        return [self.name, *figures, f"{(self.ours - self.theirs) * 100:+.2f}", between, self.test, verdict]


@dataclass(frozen=True)
class Against:
    """A comparison of two tables.

    Attributes
    ----------
    lines
        A line for each row of either table, then one for the ensembles.
    summary
        A sentence about the two sets.
    unequal
        The digests that should be equal but are not.
    """

    lines: list[Line]
    summary: str
    unequal: list[str]

    @property
    def fault(self) -> str:
        """Why the two do not agree; empty if they do."""
        compared = [line for line in self.lines if line.agrees is not None]
        outside = [line.name for line in compared if not line.agrees]
        found = self.unequal[:1]
        if outside:
            found.append(f"{len(outside)} of {len(compared)} figures differ, such as {outside[0]}'s")
        if not compared:
            found.append("no figure could be compared")
        return "; ".join(found)

    @property
    def markdown(self) -> str:
        """The comparison as Markdown."""
        head = ["", "ours", "theirs", "difference", "95 % interval", "by", "verdict"]
        table = tabulate([line.words for line in self.lines], head, "github", disable_numparse=True)
        tests = (
            "spread: Student's interval of the difference of two means, from the spread of the seeds. binomial: "
            "Newcombe's interval of the difference of two shares of independent images; it is too wide if both are on "
            "the same images, and does not include the spread between trainings."
        )
        return "\n\n".join([self.summary, *(f"NOT EQUAL: {one}." for one in self.unequal), table, tests]) + "\n"


def against(ours: Table, theirs: Table) -> Against:
    """Compare two tables of one split, row by row.

    Raises
    ------
    EmotiwError
        If the other table has no labels, or the two have different classes or are on different official splits.
    """
    split = theirs.protocol.split
    if not theirs.scores.labelled:
        raise EmotiwError(f"the other scores of {split} have no labels, so they cannot be compared: name another split")
    if ours.scores.classes != theirs.scores.classes:
        words = difference(ours.scores.classes, theirs.scores.classes, "the other table")
        raise EmotiwError(f"this table {words}, so their figures are not compared: give a table of the same classes")
    if ours.official.names and theirs.official.names and ours.official != theirs.official:
        raise EmotiwError(
            f"{split} is {ours.official.short or 'no official split'} here and "
            f"{theirs.official.short or 'no official split'} there, so its figures are not compared: give --split, or "
            "evaluate on the other table's set"
        )
    mine, others = _cells(ours), _cells(theirs)
    names = list(dict.fromkeys([*mine, *others]))
    lines = [_line(name, mine.get(name), others.get(name)) for name in names]
    unequal = [
        f"{name}: {words}"
        for name in names
        if name in mine and name in others
        for words in _unequal(mine[name], others[name])
    ]
    return Against([*lines, *_ensemble(ours, theirs)], _summary(ours, theirs), unequal)


def _cells(table: Table) -> dict[str, Cell]:
    return {cell.name: cell for column in table.filled for cell in column.cells}


def _summary(ours: Table, theirs: Table) -> str:
    """Return a sentence that says whether the sets are equal and what is compared."""
    one, other = ours.protocol, theirs.protocol
    where = f"{one.split}: {len(ours.scores.labels)} images here, {len(theirs.scores.labels)} there"
    if one.set_digest == other.set_digest:
        return f"{where}; the sets are equal (digest {one.set_digest[:12]}), so digests and figures are compared."
    return (
        f"{where}; the sets differ (digest {one.set_digest[:12]}, theirs {other.set_digest[:12]}): pixels, splits or "
        "labels may differ, as in another copy of the data, so only figures are compared."
    )


def _unequal(mine: Cell, other: Cell) -> Iterator[str]:
    """Yield the inputs that were made from the same set but differ."""
    for ours, theirs in _records(mine, other):
        known = {one.role: one.sha256 for one in theirs if one.role.startswith(_FROM_FILES)}
        for one in ours:
            if known.get(one.role, one.sha256) != one.sha256:
                yield f"{one.role} has sha256 {one.sha256[:12]}, theirs {known[one.role][:12]}, but the sets are equal"


def _records(mine: Cell, other: Cell) -> Iterator[tuple[list[Input], list[Input]]]:
    """Yield the recorded inputs of both trainings, and of both scorings, if their sets are equal."""
    if mine.facts and other.facts and mine.facts.set_digest == other.facts.set_digest:
        yield mine.facts.inputs, other.facts.inputs
    if mine.protocol.set_digest == other.protocol.set_digest:
        yield mine.protocol.inputs, other.protocol.inputs


def _line(name: str, mine: Cell | None, other: Cell | None) -> Line:
    if mine is None or other is None:
        side = "theirs" if mine is None else "ours"
        ours, theirs = (cell.accuracy if cell else None for cell in (mine, other))
        return Line(name, ours, theirs, why=f"only {side}")
    if why := "; ".join(_another(mine, other)):
        return Line(name, mine.accuracy, other.accuracy, why=f"not compared: {why}")
    seeds = [[one.scores.accuracy for one in cell.trainings] for cell in (mine, other)]
    between = spread_interval(*seeds) if len(mine.scores.labels) == len(other.scores.labels) else None
    if between:
        return Line(
            name, mine.accuracy, other.accuracy, between, f"spread of {len(seeds[0])} and {len(seeds[1])} seeds"
        )
    return Line(name, mine.accuracy, other.accuracy, *_binomial(mine.scores, other.scores))


def _another(mine: Cell, other: Cell) -> Iterator[str]:
    """Yield the differences between the experiments of two rows with one name."""
    if mine.facts and other.facts:
        ours, theirs = mine.facts, other.facts
        if ours.recipe != theirs.recipe:
            yield f"recipe {ours.recipe[:12]}, theirs {theirs.recipe[:12]}"
        stages = [[f"{one.stage} {one.iterations}" for one in facts.stages] for facts in (ours, theirs)]
        if stages[0] != stages[1]:
            yield f"iterations {', '.join(stages[0])}, theirs {', '.join(stages[1])}"
    if mine.protocol.crops != other.protocol.crops:
        yield f"crops {mine.protocol.crops}, theirs {other.protocol.crops}"
    if mine.protocol.mean_rule != other.protocol.mean_rule:
        yield f"rule for the mean {mine.protocol.mean_rule}, theirs {other.protocol.mean_rule}"
    if mine.scores.paths == other.scores.paths and (mine.scores.labels != other.scores.labels).any():
        yield "the same images have different labels"


def _ensemble(ours: Table, theirs: Table) -> Iterator[Line]:
    """Yield the line of the ensembles by the first method, if either side has an ensemble."""
    first, second = ours.filled[0], theirs.filled[0]
    if not (first.averages or second.averages):
        return
    mine = first.averages[0].scores.accuracy if first.averages else None
    other = second.averages[0].scores.accuracy if second.averages else None
    if mine is None or other is None:
        yield Line(_ENSEMBLE, mine, other, why=f"only {'theirs' if mine is None else 'ours'}")
    elif [cell.name for cell in first.cells] != [cell.name for cell in second.cells]:
        yield Line(_ENSEMBLE, mine, other, why="not compared: different nets")
    elif first.averages[0].name != second.averages[0].name:
        yield Line(_ENSEMBLE, mine, other, why="not compared: different methods")
    else:
        yield Line(_ENSEMBLE, mine, other, *_binomial(first.averages[0].scores, second.averages[0].scores))


def _binomial(mine: Scores, other: Scores) -> tuple[Interval, str]:
    counts = [(int(np.sum(one.predictions == one.labels)), len(one.labels)) for one in (mine, other)]
    return newcombe(*counts), "binomial"
