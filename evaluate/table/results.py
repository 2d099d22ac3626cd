"""The results of the scored nets in a folder of runs: columns of cells on the same images, and their ensembles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.official_splits import MadeOf
from emotiw.errors import EmotiwError
from emotiw.evaluate.baseline.baseline import Baseline, find
from emotiw.evaluate.baseline.baseline import Protocol as BaselineProtocol
from emotiw.evaluate.ensemble import (
    METHODS,
    best_member,
    best_members,
    combine,
    cross_validated,
    growth,
    growth_order,
    nested,
    uniform,
)
from emotiw.evaluate.model import STAND_INS, TRAINED, Provenance
from emotiw.evaluate.recorded import Recorded
from emotiw.evaluate.released.catalog import NET, released
from emotiw.evaluate.scores import Scores
from emotiw.evaluate.scoring import Protocol, read_protocol, scores_file, titles
from emotiw.evaluate.trained_on import words
from emotiw.inputs import Look
from emotiw.text import counted
from emotiw.train.run_folder import Run, find_runs

from .cells import Cell, released_cells, require_alike, require_same_classes, row_of, run_cells
from .marks import Marks, marks

BASELINE = "baseline: LBP histograms, SVM"
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Average:
    """The name of a method to average the nets, and the averaged scores."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class Column:
    """The results of all nets of one provenance on one split, on the same images.

    Attributes
    ----------
    cells
        In order of net, then of `representation_order`.
    validation
        The validation scores that the ensemble's weights are fitted on, one for each cell: the cells' own if the split
        is val. Empty if a net was not scored on val, or val has no labels.
    provenance
        The origin of the nets' weights.
    missing
        Why a row has no cell, by row.
    validated
        The cells of the scores in `validation`.
    """

    cells: tuple[Cell, ...]
    validation: tuple[Scores, ...]
    provenance: Provenance = TRAINED
    missing: Mapping[str, str] = field(default_factory=dict)
    validated: tuple[Cell, ...] = ()

    @property
    def scores(self) -> Scores:
        """The first cell's scores: all cells share images, labels and classes."""
        return self.cells[0].scores

    @property
    def protocol(self) -> Protocol:
        """How the first cell was scored: all cells share set, split and crops."""
        return self.cells[0].protocol

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each image; empty if none is known."""
        return next((cell.scores.groups for cell in self.cells if cell.scores.groups), ())

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float64]]:
        """The ensemble's weights by each method, (cells,) float64, fitted on validation scores; empty without them."""
        if not self.validation:
            return {}
        posteriors, labels = _stack(self.validation), self.validation[0].labels
        return {name: find(posteriors, labels) for name, find in METHODS.items()}

    @cached_property
    def averages(self) -> list[Average]:
        """The ensembles by every method: in-sample, cross-validated and uniform; empty for a single net."""
        if len(self.cells) < 2:
            return []
        posteriors, labels = self._posteriors, self.scores.labels
        in_sample = self.protocol.split == "val"
        found: list[tuple[str, NDArray[np.float64] | None]] = []
        for name, weights in self.weights.items():
            where = "on these very scores" if in_sample else "on val, frozen"
            found.append((f"{name}, {where}", combine(posteriors, weights)))
            if in_sample:
                honest = cross_validated(posteriors, labels, METHODS[name], groups=self.groups)
                found.append((f"{name}, cross-validated", honest))
        if self.nested:
            found.append(("chosen by nested cross-validation", self.nested[0]))
        found.append(("uniform average", combine(posteriors, uniform(posteriors, labels))))
        return [
            Average(name, replace(self.scores, posteriors=average)) for name, average in found if average is not None
        ]

    @cached_property
    def nested(self) -> tuple[NDArray[np.float64], list[str]] | None:
        """Posteriors, and the method in each fold, of nested cross-validation on val; None on other splits."""
        if len(self.cells) < 2 or self.protocol.split != "val" or not self.validation:
            return None
        return nested(_stack(self.validation), self.validation[0].labels, groups=self.groups)

    @cached_property
    def contest(self) -> tuple[Average, Average] | None:
        """The ensemble and its best member, neither of them chosen on the images that they are scored on.

        On val both are chosen out of fold, on another split both on val. None if that is not possible.
        """
        if len(self.cells) < 2 or not self.validation:
            return None
        known, labels = _stack(self.validation), self.validation[0].labels
        if self.protocol.split != "val":
            net = best_member(known, labels)
            return self.averages[0], Average(f"{self.cells[net].title}, the best on val", self.cells[net].scores)
        single = best_members(known, labels, groups=self.groups)
        if self.nested is None or single is None:
            return None
        scores = (replace(self.scores, posteriors=found) for found in (self.nested[0], single))
        names = ("chosen by nested cross-validation", "the best single net, chosen in the same folds")
        ensemble, best = (Average(name, one) for name, one in zip(names, scores, strict=True))
        return ensemble, best

    @property
    def answer(self) -> Average:
        """The result to submit: the ensemble by the first method, or the only net."""
        answer = self.averages[0] if self.averages else Average(self.cells[0].title, self.scores)
        if self.provenance is TRAINED:
            return answer
        return replace(answer, name=f"{self.provenance.title}: {answer.name}")

    def why(self, row: str) -> str:
        """Return why a row has no cell."""
        return self.missing.get(row, self.provenance.absent)

    @property
    def gaps(self) -> Mapping[str, str]:
        """The runs without a figure that were not left out by the user, and why; empty for released models."""
        found = self.missing if self.provenance is TRAINED else {}
        return {row: why for row, why in found.items() if why != LEFT_OUT}

    @cached_property
    def gains(self) -> list[tuple[Cell, float]]:
        """The nets in order of addition, each with the accuracy in [0, 1] of the uniform average after it.

        The order is the best one on validation scores; like weights, it must not be found on test. Without validation
        scores it is found on these scores.
        """
        known = self.validation or [cell.scores for cell in self.cells]
        order = growth_order(_stack(known), known[0].labels)
        grown = growth(self._posteriors, self.scores.labels, order)
        return [(self.cells[net], accuracy) for net, accuracy in zip(order, grown, strict=True)]

    @cached_property
    def _posteriors(self) -> NDArray[np.float64]:
        return _stack([cell.scores for cell in self.cells])


@dataclass(frozen=True)
class Table:
    """The results of runs and released models on the same images; at least one column has a cell.

    Attributes
    ----------
    trained
        The runs' results.
    released
        The released models' results, never averaged with the runs'; None if there are none.
    baseline
        The classical baseline on the same set, or None; it is not part of the ensemble.
    marks
        The warnings about the figures.
    """

    trained: Column
    released: Column | None = None
    baseline: Baseline | None = None
    marks: Marks = field(default_factory=Marks)

    @property
    def columns(self) -> list[Column]:
        """The columns."""
        return [self.trained, self.released] if self.released else [self.trained]

    @property
    def filled(self) -> list[Column]:
        """The columns that have a cell: at least one."""
        return [column for column in self.columns if column.cells]

    @property
    def scores(self) -> Scores:
        """The first cell's scores: all cells share images, labels and classes."""
        return self.filled[0].scores

    @property
    def protocol(self) -> Protocol:
        """How the first cell was scored: all cells share set, split and crops."""
        return self.filled[0].protocol

    @property
    def groups(self) -> tuple[str, ...]:
        """The group (a person, a movie) of each image; empty if it is not known, or no two images share one."""
        known = (column.groups for column in self.filled if column.groups)
        return next(known, self.baseline.scores.groups if self.baseline else ())

    @property
    def dataset(self) -> str:
        """The name of the data set; empty if it is not known."""
        return max(protocol.dataset for protocol in self._protocols)

    @property
    def official(self) -> MadeOf:
        """The official splits of the data set that the images belong to, if any record names them."""
        return next((protocol.official for protocol in self._protocols if protocol.official.names), MadeOf())

    @property
    def beside(self) -> str:
        """The text after the split's name: see `MadeOf.beside`."""
        return self.official.beside(self.protocol.split, self.dataset)

    @property
    def name_in_files(self) -> str:
        """The name in files of predictions: the split's or, if it has no labels, that of its official split."""
        split = self.protocol.split
        return split if self.scores.labelled else self.official.official(split) or split

    @property
    def of_emotions(self) -> bool:
        """Whether the classes are the seven emotions, for which figures and claims were published."""
        return self.scores.classes == EMOTIONS

    @property
    def drawn(self) -> bool:
        """Whether the images were drawn."""
        return any(protocol.drawn for protocol in self._protocols)

    @property
    def _protocols(self) -> list[Protocol | BaselineProtocol]:
        """The records of all figures; those of older versions have fewer fields."""
        found = [one.protocol for column in self.filled for cell in column.cells for one in cell.trainings]
        return [*found, self.baseline.protocol] if self.baseline else [*found]

    @property
    def answer(self) -> Average:
        """The result to submit: the runs' if there are any, else the released models'."""
        return self.filled[0].answer


def collect(
    folder: Path,
    stage: str = "finetune",
    split: str = "val",
    rows: Sequence[str] | None = None,
    look: Look = Look.SMALL,
) -> Table:
    """Return the results of all scored runs of a stage in `folder`, or only of `rows`.

    For fine-tuned runs the table has the released models that were scored into `folder`.

    Parameters
    ----------
    look
        How many of the inputs of the figures are hashed.

    Raises
    ------
    EmotiwError
        If nothing is scored, nets were scored on different images or in different ways, or a net is not the one that
        was scored.
    """
    every = find_runs(folder, stage)
    runs = [run for run in every if scores_file(run.folder, split).is_file()]
    missing = {row_of(run): _why_not_scored(run) for run in every if run not in runs}
    if rows is not None:
        missing = {row: why for row, why in missing.items() if row in rows}
        missing |= {row_of(run): LEFT_OUT for run in every if row_of(run) not in rows}
        runs = [run for run in runs if row_of(run) in rows]
    if absent := set(rows or ()) - {row_of(run) for run in runs}:
        raise EmotiwError(
            f"{folder} has no {stage} run of {min(absent)} with {split} scores: train and evaluate it, or leave it out"
        )
    authors = None
    if stage == "finetune":
        not_evaluated = {f"{NET}-{model.representation}": "not evaluated" for model in released().values()}
        authors = _column(released_cells(folder, split), partial(released_cells, folder, "val"), not_evaluated)
    unreadable: dict[str, str] = {}
    cells = run_cells(runs, split, unreadable)
    trained = _column(cells, partial(run_cells, runs, "val"), missing | unreadable)
    table = Table(trained, authors if authors and authors.cells else None)
    every_cell = [cell for column in table.filled for cell in column.cells]
    if unreadable and (rows is not None or not every_cell):
        raise EmotiwError(next(iter(unreadable.values())).partition(": ")[2])
    if not every_cell:
        raise EmotiwError(
            f"{folder} has no {stage} run with {split} scores: make them with emotiw evaluate RUN --set SET"
        )
    require_alike(every_cell)
    validated = [cell for column in table.filled for cell in column.validated]
    baseline = _baseline(folder, split, every_cell[0])
    others = {BASELINE: Recorded(folder, tuple(baseline.protocol.inputs))} if baseline else {}
    known = {BASELINE: _trained_on_by_baseline(baseline, every_cell)} if baseline else {}
    found = marks(every_cell, validated if split != "val" else [], others, look, known)
    return replace(table, baseline=baseline, marks=found)


def scores_of(folder: Path, stage: str, name: str) -> str:
    """Return the split of the scores with this `Table.name_in_files`; `name` itself if no run records another."""
    recorded = {
        title: protocol.official.official(title)
        for run in find_runs(folder, stage)
        for title in titles(run.folder)
        if (protocol := read_protocol(run.folder, title)).official.names
    }
    found = [title for title, official in recorded.items() if official == name]
    return name if name in found or not found else found[0]


def _why_not_scored(run: Run) -> str:
    """Return why a run has no scores."""
    try:
        run.facts()
    except EmotiwError as error:
        return f"unreadable: {error}"
    return "not evaluated" if run.finished or run.published else "not finished"


def _column(cells: tuple[Cell, ...], on_val: Callable[[], tuple[Cell, ...]], missing: Mapping[str, str]) -> Column:
    """Return a column of these cells, with the validation scores of the same nets, which `on_val` reads."""
    names, split = {cell.name for cell in cells}, cells[0].protocol.split if cells else "val"
    known = cells if split == "val" else tuple(cell for cell in on_val() if cell.name in names)
    require_alike(known)
    if len(known) != len(cells):
        known = ()
    for cell, same in zip(cells, known, strict=False):  # all of them, or none
        had = {one.folder: one.protocol.weights_sha256 for one in same.trainings}
        mine = {one.folder: one.protocol.weights_sha256 for one in cell.trainings}
        if cell.folder != same.folder or any(had[folder] != mine[folder] for folder in had.keys() & mine.keys()):
            raise EmotiwError(
                f"{cell.folder}: its {split} and val scores are of different weights: evaluate both splits with --force"
            )
        if cell.protocol.crops != same.protocol.crops:
            raise EmotiwError(
                f"{cell.folder}: its {split} scores are of {counted(cell.protocol.crops, 'crop')}, its val scores of "
                f"{same.protocol.crops}: evaluate both splits in the same way, with --force"
            )
    found = [cell.provenance for cell in (*cells, *known)]
    # A column with one stand-in is a column of stand-ins.
    provenance = STAND_INS if STAND_INS in found else found[0] if found else TRAINED
    known = tuple(cell for cell in known if cell.scores.labelled)
    return Column(cells, tuple(cell.scores for cell in known), provenance, missing, known)


def _baseline(folder: Path, split: str, cell: Cell) -> Baseline | None:
    """Return the baseline on the images of a cell, with the cell's labels, or None if there is none."""
    baseline = find(folder, split, cell.protocol.set_digest)
    if baseline is None:
        return None
    require_same_classes("the baseline", baseline.scores, cell.name, cell.scores)
    if baseline.scores.paths != cell.scores.paths:
        raise EmotiwError(f"the baseline and {cell.name} have scores of different images: make both again with --force")
    return replace(baseline, scores=replace(baseline.scores, labels=cell.scores.labels))


def _trained_on_by_baseline(baseline: Baseline, cells: Sequence[Cell]) -> list[str]:
    """Return the warning that the baseline was trained on scored images, as a net that was trained on its set."""
    for cell in cells:
        if cell.facts and cell.facts.set_digest == baseline.protocol.set_digest:
            last = [one for one in cell.protocol.trained_on if one.stage == cell.facts.stage]
            if mark := words(last, len(cell.scores.labels)):
                return [f"{mark} ({cell.protocol.split})"]
    return []


def _stack(scores: Sequence[Scores]) -> NDArray[np.float64]:
    return np.stack([one.posteriors for one in scores])
