"""The scored nets below a folder of runs: columns of cells on the same images, and the ensemble of each column."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from emotiw.evaluate.scoring import Protocol, scores_file
from emotiw.inputs import Look
from emotiw.text import counted
from emotiw.train.run_folder import Run, find_runs

from .cells import Cell, released_cells, require_alike, row_of, run_cells
from .marks import Marks, marks

BASELINE = "baseline: LBP histograms, SVM"
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Average:
    """A way to average the nets, and the scores it gives."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class Column:
    """Every net's result of one provenance on one split, all on the same images.

    Attributes
    ----------
    cells
        By net, then representation in the order of `representation_order`.
    validation
        The validation scores that the ensemble's weights are found on, one for each cell; the cells' own where the
        split is val; empty where a net was never scored on val, or val's labels are unknown.
    provenance
        Where the nets' weights come from.
    missing
        Why there is no cell, by row.
    validated
        The cells that `validation` has the scores of.
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
        """The group of each image; empty where none is known."""
        return next((cell.scores.groups for cell in self.cells if cell.scores.groups), ())

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float64]]:
        """The ensemble's weights by each method, one a cell, found on validation scores; none where there are none."""
        if not self.validation:
            return {}
        posteriors, labels = _stack(self.validation), self.validation[0].labels
        return {name: find(posteriors, labels) for name, find in METHODS.items()}

    @cached_property
    def averages(self) -> list[Average]:
        """The ensembles by every method, honest figures beside in-sample ones; none where there is but one net."""
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
        """Posteriors and methods of nested cross-validation on val; None on other splits, or without folds."""
        if len(self.cells) < 2 or self.protocol.split != "val" or not self.validation:
            return None
        return nested(_stack(self.validation), self.validation[0].labels, groups=self.groups)

    @cached_property
    def contest(self) -> tuple[Average, Average] | None:
        """The ensemble and its best member, neither of them chosen on the images that it is judged on.

        On val both are chosen out of fold, on another split both on val. None where that cannot be.
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
        """What would be handed in: the ensemble by the first method, or the only net."""
        answer = self.averages[0] if self.averages else Average(self.cells[0].title, self.scores)
        if self.provenance is TRAINED:
            return answer
        return replace(answer, name=f"{self.provenance.title}: {answer.name}")

    def why(self, row: str) -> str:
        """Return why there is no cell."""
        return self.missing.get(row, self.provenance.absent)

    @property
    def gaps(self) -> Mapping[str, str]:
        """The runs of which the table has no figure though nobody left them out, and why; of released models none."""
        found = self.missing if self.provenance is TRAINED else {}
        return {row: why for row, why in found.items() if why != LEFT_OUT}

    @cached_property
    def gains(self) -> list[tuple[Cell, float]]:
        """The nets, and the accuracy here of the uniform average with each added.

        Their order is the one in which that average grows best on validation scores: like weights, it must not be
        found on test. Where there are no validation scores it is found here.
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
    """Columns of results that stand beside each other, all on the same images; at least one has a cell.

    Attributes
    ----------
    trained
        The runs' results.
    released
        The released models' results, never averaged with the runs'; None where there are none.
    baseline
        The classical baseline of the same set, where one was made; it takes no part in the ensemble.
    marks
        What must be said at its figures.
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
        """The group (a person, a movie) of each image; empty where no two images share one, or it was not noted."""
        known = (column.groups for column in self.filled if column.groups)
        return next(known, self.baseline.scores.groups if self.baseline else ())

    @property
    def dataset(self) -> str:
        """The name of the data set; empty where it is not known."""
        return max(protocol.dataset for protocol in self._protocols)

    @property
    def official(self) -> MadeOf:
        """Which official splits of the data set its images are; not known if no figure says it."""
        return next((protocol.official for protocol in self._protocols if protocol.official.names), MadeOf())

    @property
    def beside(self) -> str:
        """What stands behind the split's name: see `MadeOf.beside`."""
        return self.official.beside(self.protocol.split, self.dataset)

    @property
    def drawn(self) -> bool:
        """Whether its images were drawn."""
        return any(protocol.drawn for protocol in self._protocols)

    @property
    def _protocols(self) -> list[Protocol | BaselineProtocol]:
        """How every figure was made; older scores say less of the same set."""
        found = [one.protocol for column in self.filled for cell in column.cells for one in cell.trainings]
        return [*found, self.baseline.protocol] if self.baseline else [*found]

    @property
    def answer(self) -> Average:
        """What would be handed in: the runs' answer where there are any."""
        return self.filled[0].answer


def collect(
    folder: Path,
    stage: str = "finetune",
    split: str = "val",
    rows: Sequence[str] | None = None,
    look: Look = Look.SMALL,
) -> Table:
    """Return the results of all scored runs of a stage below `folder`, or of these `rows` alone.

    Beside fine-tuned runs stand the released models that were scored there.

    Parameters
    ----------
    look
        How much of what the figures were made of is hashed.

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
            f"{folder} holds no {stage} run of {min(absent)} with {split} scores: make it, or leave it out"
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
            f"{folder} holds no {stage} run with {split} scores: make them with emotiw evaluate RUN --set SET"
        )
    require_alike(every_cell)
    validated = [cell for column in table.filled for cell in column.validated]
    baseline = _baseline(folder, split, every_cell[0])
    others = {BASELINE: Recorded(folder, tuple(baseline.protocol.inputs))} if baseline else {}
    said = marks(every_cell, validated if split != "val" else [], others, look)
    return replace(table, baseline=baseline, marks=said)


def _why_not_scored(run: Run) -> str:
    """Return why a run has no scores."""
    try:
        run.facts()
    except EmotiwError as error:
        return f"unreadable: {error}"
    return "not evaluated" if run.finished or run.published else "not finished"


def _column(cells: tuple[Cell, ...], on_val: Callable[[], tuple[Cell, ...]], missing: Mapping[str, str]) -> Column:
    """Return the results of these cells, with the validation scores of the same nets, which `on_val` reads."""
    names, split = {cell.name for cell in cells}, cells[0].protocol.split if cells else "val"
    known = cells if split == "val" else tuple(cell for cell in on_val() if cell.name in names)
    require_alike(known)
    if len(known) != len(cells):
        known = ()
    for cell, same in zip(cells, known, strict=False):  # all of them, or none
        had = {one.folder: one.protocol.weights_sha256 for one in same.trainings}
        mine = {one.folder: one.protocol.weights_sha256 for one in cell.trainings}
        if cell.folder != same.folder or any(had[folder] != mine[folder] for folder in had.keys() & mine.keys()):
            raise EmotiwError(f"{cell.folder}: other weights had the val scores: evaluate both splits with --force")
        if cell.protocol.crops != same.protocol.crops:
            raise EmotiwError(
                f"{cell.folder}: its {split} scores are of {counted(cell.protocol.crops, 'crop')}, its val scores of "
                f"{same.protocol.crops}: evaluate both splits alike, with --force"
            )
    found = [cell.provenance for cell in (*cells, *known)]
    whose = STAND_INS if STAND_INS in found else found[0] if found else TRAINED  # one stand-in spoils a column
    known = tuple(cell for cell in known if cell.scores.labelled)
    return Column(cells, tuple(cell.scores for cell in known), whose, missing, known)


def _baseline(folder: Path, split: str, cell: Cell) -> Baseline | None:
    """Return the baseline on the images of a cell, judged by the cell's labels; None where none was made."""
    baseline = find(folder, split, cell.protocol.set_digest)
    if baseline is None:
        return None
    if (baseline.scores.paths, baseline.scores.classes) != (cell.scores.paths, cell.scores.classes):
        raise EmotiwError(f"the baseline and {cell.name} have scores of other images: make both anew, with --force")
    return replace(baseline, scores=replace(baseline.scores, labels=cell.scores.labels))


def _stack(scores: Sequence[Scores]) -> NDArray[np.float64]:
    return np.stack([one.posteriors for one in scores])
