"""The results of a folder of runs: a cell for each net and representation, and their ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.lbp_mapping.representation import PAPER
from emotiw.train.runs import Run, find_runs

from .baseline import Baseline, find
from .ensemble import METHODS, combine, cross_validated, growth, growth_order, nested, uniform
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
        split is val; empty where a run was never scored on val, or nobody knows val's labels.
    baseline
        The classical baseline of the same set, where one was made; it takes no part in the ensemble.
    """

    cells: tuple[Cell, ...]
    known: tuple[Scores, ...]
    baseline: Baseline | None = None

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
        if self.nested:
            found.append(("chosen by nested cross-validation", self.nested[0]))
        found.append(("uniform average", combine(posteriors, uniform(posteriors, labels))))
        return [
            Average(name, Scores(self.first.paths, labels, self.first.classes, array))
            for name, array in found
            if array is not None
        ]

    @cached_property
    def nested(self) -> tuple[NDArray[np.float64], list[str]] | None:
        """Posteriors and methods of nested cross-validation on val; None on other splits, or without folds."""
        if len(self.cells) == 1 or self.protocol.split != "val" or not self.known:
            return None
        return nested(_stack(self.known), self.known[0].labels)

    @property
    def answer(self) -> Average:
        """What would be handed in: the ensemble by the first method, or the only run."""
        return self.averages[0] if self.averages else Average(self.cells[0].row, self.first)

    @cached_property
    def gains(self) -> list[tuple[Cell, float]]:
        """The nets, and the accuracy here of the uniform average with each added.

        Their order is the one in which that average grows best on validation scores: like weights, it must not be
        found on test. Where there are no validation scores it is found here.
        """
        known = self.known or [cell.scores for cell in self.cells]
        order = growth_order(_stack(known), known[0].labels)
        grown = growth(_stack([cell.scores for cell in self.cells]), self.first.labels, order)
        return [(self.cells[net], accuracy) for net, accuracy in zip(order, grown, strict=True)]


def collect(folder: Path, stage: str = "finetune", split: str = "val", rows: Sequence[str] | None = None) -> Results:
    """Return the results of all scored runs of a stage below `folder`, or of these `rows` alone.

    Raises
    ------
    EmotiwError
        Where no run is scored, or runs were scored on different images or in different ways.
    """
    runs = [run for run in find_runs(folder, stage) if scores_file(run.folder, split).is_file()]
    if rows is not None:
        runs = [run for run in runs if run.folder.parent.name in rows]
    if missing := set(rows or ()) - {run.folder.parent.name for run in runs}:
        raise EmotiwError(
            f"{folder} holds no {stage} run of {min(missing)} with {split} scores: make it, or leave it out"
        )
    if not runs:
        raise EmotiwError(
            f"{folder} holds no {stage} run with {split} scores: make them with emotiw evaluate RUN --set SET"
        )
    cells = _cells(runs, split)
    if split == "val":
        known = cells
    else:
        known = _cells(runs, "val") if all(scores_file(run.folder, "val").is_file() for run in runs) else ()
    known_scores = tuple(cell.scores for cell in known if cell.scores.labelled)
    return Results(cells, known_scores, _baseline(folder, split, cells[0]))


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
        facts, scores = run.facts(), read_scores(scores_file(run.folder, split))
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


def _baseline(folder: Path, split: str, cell: Cell) -> Baseline | None:
    """Return the baseline on the images of a cell, judged by the cell's labels; None where none was made."""
    baseline = find(folder, split, cell.protocol.set_digest)
    if baseline is None:
        return None
    if (baseline.scores.paths, baseline.scores.classes) != (cell.scores.paths, cell.scores.classes):
        raise EmotiwError(f"the baseline and {cell.row} have scores of other images: make both anew, with --force")
    return replace(baseline, scores=replace(baseline.scores, labels=cell.scores.labels))


def _stack(scores: Sequence[Scores]) -> NDArray[np.float64]:
    return np.stack([one.posteriors for one in scores])
