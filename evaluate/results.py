"""The results of a folder of runs: a cell for each net and representation, and their ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.lbp_mapping.representation import PAPER
from emotiw.train.runs import Run, find_runs

from .ensemble import METHODS, combine, cross_validated, gains
from .scores import Scores, read_scores
from .scoring import Protocol, read_protocol, scores_file

_PAPER = [representation.name for representation in PAPER]


@dataclass(frozen=True)
class Cell:
    """One run's result on a split, and how it was scored."""

    run: Run
    net: str
    representation: str
    protocol: Protocol
    scores: Scores

    @property
    def row(self) -> str:
        """The run's row."""
        return f"{self.net}-{self.representation}"


@dataclass(frozen=True)
class Average:
    """A way to average the nets, and the scores it gives."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class Results:
    """Every run's result on one split, all on the same images.

    Attributes
    ----------
    cells
        By net, then representation in the order of `place`.
    known
        The validation scores that the ensemble's weights are found on, one for each cell; the cells' own where the
        split is val; empty where a run was never scored on val.
    """

    cells: tuple[Cell, ...]
    known: tuple[Scores, ...]

    @property
    def first(self) -> Scores:
        """The first cell's scores: all cells share images, labels and classes."""
        return self.cells[0].scores

    @property
    def protocol(self) -> Protocol:
        """How the first cell was scored: all cells share set, split and crops."""
        return self.cells[0].protocol

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float64]]:
        """The ensemble's weights by each method, one a cell, found on validation scores; none where there are none."""
        if not self.known:
            return {}
        posteriors, labels = _stack(self.known), self.known[0].labels
        return {name: find(posteriors, labels) for name, find in METHODS.items()}

    @cached_property
    def averages(self) -> list[Average]:
        """The ensembles by every method, honest figures beside in-sample ones; none where there is but one run."""
        posteriors, labels = _stack([cell.scores for cell in self.cells]), self.first.labels
        if len(self.cells) == 1:
            return []
        in_sample = self.protocol.split == "val"
        found: list[tuple[str, NDArray[np.float64] | None]] = []
        for name, weights in self.weights.items():
            where = "on these very scores" if in_sample else "on val, frozen"
            found.append((f"{name}, {where}", combine(posteriors, weights)))
            if in_sample:
                found.append((f"{name}, cross-validated", cross_validated(posteriors, labels, METHODS[name])))
        uniform = np.full(len(self.cells), 1 / len(self.cells))
        found.append(("uniform average", combine(posteriors, uniform)))
        return [
            Average(name, Scores(self.first.paths, labels, self.first.classes, array))
            for name, array in found
            if array is not None
        ]

    @property
    def answer(self) -> Average:
        """What would be handed in: the ensemble by the first method, or the only run."""
        return self.averages[0] if self.averages else Average(self.cells[0].row, self.first)

    @cached_property
    def gains(self) -> list[tuple[Cell, float]]:
        """The nets in the order in which a uniform average of them grows best, and its accuracy with each."""
        found = gains(_stack([cell.scores for cell in self.cells]), self.first.labels)
        return [(self.cells[net], accuracy) for net, accuracy in found]


def collect(folder: Path, stage: str = "finetune", split: str = "val") -> Results:
    """Return the results of all scored runs of a stage below `folder`.

    Raises
    ------
    EmotiwError
        Where no run is scored, or runs were scored on different images or in different ways.
    """
    runs = [run for run in find_runs(folder, stage) if scores_file(run, split).is_file()]
    if not runs:
        raise EmotiwError(
            f"{folder} holds no {stage} run with {split} scores: make them with emotiw evaluate RUN --set SET"
        )
    cells = _cells(runs, split)
    if split == "val":
        known = cells
    else:
        known = _cells(runs, "val") if all(scores_file(run, "val").is_file() for run in runs) else ()
    return Results(cells, tuple(cell.scores for cell in known))


def place(representation: str) -> tuple[int, str]:
    """Return what sorts representations: the paper's five first and in its order, then the user's own by name."""
    return _PAPER.index(representation) if representation in _PAPER else len(_PAPER), representation


def title(representation: str) -> str:
    """Return a representation's name for a table's head: what the paper did not use is called ours."""
    return representation if representation in _PAPER else f"{representation} (ours)"


def _cells(runs: Sequence[Run], split: str) -> tuple[Cell, ...]:
    """Read the runs' scores of a split; raise where they cannot stand beside each other."""
    cells = []
    for run in runs:
        facts, scores = run.facts(), read_scores(scores_file(run, split))
        cells.append(Cell(run, facts.net, facts.representation, read_protocol(run, split), scores))
    cells.sort(key=lambda cell: (cell.net, *place(cell.representation)))
    first = cells[0]
    for before, cell in pairwise(cells):
        if cell.row == before.row:
            raise EmotiwError(f"{before.run.folder} and {cell.run.folder} are the same row: move one elsewhere")
        here, there = cell.protocol, first.protocol
        if (here.set_digest, here.crops) != (there.set_digest, there.crops):
            raise EmotiwError(
                f"{cell.row} and {first.row} were scored on different sets or crops: evaluate both alike, with --force"
            )
        if cell.scores.paths != first.scores.paths:
            raise EmotiwError(f"{cell.row} and {first.row} have scores of other images: evaluate both with --force")
    return tuple(cells)


def _stack(scores: Sequence[Scores]) -> NDArray[np.float64]:
    return np.stack([one.posteriors for one in scores])
