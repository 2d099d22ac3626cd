"""One's own table beside another one of the same experiment: digests that must be equal, figures that must agree."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from emotiw.errors import EmotiwError
from emotiw.evaluate.scores import Scores
from emotiw.inputs import Input

from .cells import Cell
from .results import Table
from .rows import percent
from .statistics import Interval, newcombe, spread_interval

_ENSEMBLE = "ensemble"
_FROM_FILES = ("LMDB", "colours")  # roles of what the same files and the same version give to the byte


@dataclass(frozen=True)
class Line:
    """A row's two figures.

    `between` is the 95 % interval of the difference and `test` how it was found; both are None, or empty, where
    nothing was compared, and `why` then says why not.
    """

    name: str
    ours: float | None
    theirs: float | None
    between: Interval | None = None
    test: str = ""
    why: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether no difference lies in the interval; None where nothing was compared."""
        return None if self.between is None else self.between.low <= 0 <= self.between.high

    @property
    def words(self) -> list[str]:
        """What a table prints of it."""
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
        A line a row of either side, then the ensembles'.
    said
        What is said of the sets.
    unequal
        What must be equal and is not.
    """

    lines: list[Line]
    said: str
    unequal: list[str]

    @property
    def fault(self) -> str:
        """Why the two do not agree, in words; empty where they do."""
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
            "spread: Student's interval of the difference of two means, by the spread of the seeds. binomial: "
            "Newcombe's interval of the difference of two shares of independent images: wide where both are of the "
            "same images, and without the spread of training."
        )
        return "\n\n".join([self.said, *(f"NOT EQUAL: {one}." for one in self.unequal), table, tests]) + "\n"


def against(ours: Table, theirs: Table) -> Against:
    """Return how two tables of a split compare, row by row.

    Raises
    ------
    EmotiwError
        If the other one has no labels, or is of another official split.
    """
    split = theirs.protocol.split
    if not theirs.scores.labelled:
        raise EmotiwError(f"the other scores of {split} have no labels: there is nothing to compare")
    if ours.official.names and theirs.official.names and ours.official != theirs.official:
        raise EmotiwError(
            f"{split} is {ours.official.short or 'no official split'} here and "
            f"{theirs.official.short or 'no official split'} there, so its figures are not compared: give --split, or "
            "evaluate on the set that theirs are on"
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
    return Against([*lines, *_ensemble(ours, theirs)], _said(ours, theirs), unequal)


def _cells(table: Table) -> dict[str, Cell]:
    return {cell.name: cell for column in table.filled for cell in column.cells}


def _said(ours: Table, theirs: Table) -> str:
    """Return whether both are of one set, and if not what that means."""
    one, other = ours.protocol, theirs.protocol
    where = f"{one.split}: {len(ours.scores.labels)} images here, {len(theirs.scores.labels)} there"
    if one.set_digest == other.set_digest:
        return f"{where}; the sets are equal (digest {one.set_digest[:12]}), so digests are compared, and figures."
    return (
        f"{where}; the sets differ (digest {one.set_digest[:12]}, theirs {other.set_digest[:12]}): pixels, splits or "
        "labels may be others, as of another copy of the data, so figures alone are compared."
    )


def _unequal(mine: Cell, other: Cell) -> Iterator[str]:
    """Yield what was made of the same set and differs all the same."""
    for ours, theirs in _records(mine, other):
        known = {one.role: one.sha256 for one in theirs if one.role.startswith(_FROM_FILES)}
        for one in ours:
            if known.get(one.role, one.sha256) != one.sha256:
                yield f"{one.role} has sha256 {one.sha256[:12]}, theirs {known[one.role][:12]}, of sets that are equal"


def _records(mine: Cell, other: Cell) -> Iterator[tuple[list[Input], list[Input]]]:
    """Yield what both were trained on, and scored on, where the sets are equal."""
    if mine.facts and other.facts and mine.facts.set_digest == other.facts.set_digest:
        yield mine.facts.inputs, other.facts.inputs
    if mine.protocol.set_digest == other.protocol.set_digest:
        yield mine.protocol.inputs, other.protocol.inputs


def _line(name: str, mine: Cell | None, other: Cell | None) -> Line:
    if mine is None or other is None:
        whose = "theirs" if mine is None else "ours"
        ours, theirs = (cell.accuracy if cell else None for cell in (mine, other))
        return Line(name, ours, theirs, why=f"{whose} alone")
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
    """Yield in what two rows of one name are not the same experiment."""
    if mine.facts and other.facts:
        ours, theirs = mine.facts, other.facts
        if ours.recipe != theirs.recipe:
            yield f"recipe {ours.recipe[:12]}, theirs {theirs.recipe[:12]}"
        stages = [[f"{one.stage} {one.iterations}" for one in facts.stages] for facts in (ours, theirs)]
        if stages[0] != stages[1]:
            yield f"iterations {', '.join(stages[0])}, theirs {', '.join(stages[1])}"
    if mine.protocol.crops != other.protocol.crops:
        yield f"crops {mine.protocol.crops}, theirs {other.protocol.crops}"
    if mine.scores.paths == other.scores.paths and (mine.scores.labels != other.scores.labels).any():
        yield "other labels of the same images"


def _ensemble(ours: Table, theirs: Table) -> Iterator[Line]:
    """Yield the line of what would be handed in, where either side has an ensemble."""
    first, second = ours.filled[0], theirs.filled[0]
    if not (first.averages or second.averages):
        return
    mine = first.averages[0].scores.accuracy if first.averages else None
    other = second.averages[0].scores.accuracy if second.averages else None
    if mine is None or other is None:
        yield Line(_ENSEMBLE, mine, other, why=f"{'theirs' if mine is None else 'ours'} alone")
    elif [cell.name for cell in first.cells] != [cell.name for cell in second.cells]:
        yield Line(_ENSEMBLE, mine, other, why="not compared: of other nets")
    elif first.averages[0].name != second.averages[0].name:
        yield Line(_ENSEMBLE, mine, other, why="not compared: averaged in another way")
    else:
        yield Line(_ENSEMBLE, mine, other, *_binomial(first.averages[0].scores, second.averages[0].scores))


def _binomial(mine: Scores, other: Scores) -> tuple[Interval, str]:
    counts = [(int(np.sum(one.predictions == one.labels)), len(one.labels)) for one in (mine, other)]
    return newcombe(*counts), "binomial"
