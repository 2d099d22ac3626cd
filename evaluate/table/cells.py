"""The cells of a table: one net's result on a split, trained here or released by the authors."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.class_list import difference
from emotiw.data_prep.official_splits import MadeOf
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Provenance, provenance
from emotiw.evaluate.released.catalog import NET, released
from emotiw.evaluate.scores import Scores
from emotiw.evaluate.scoring import Protocol, read_evaluation, released_folder, scores_file
from emotiw.lbp_mapping.representation import PAPER
from emotiw.train.run_folder import Facts, Run

_PAPER = [representation.name for representation in PAPER]


@dataclass(frozen=True)
class Cell:
    """One net's result on a split.

    Attributes
    ----------
    folder
        The folder of the scores.
    name
        The row of a run, or the name of a released model.
    net
        The line of the table: the net, or the name of a run that is named by the user's own table of experiments. Such
        a run has its own line without published figures; `kind` is its net.
    protocol, scores
        How it was scored, and the scores; with several trainings, those of the lowest seed.
    facts
        How a run was trained; None for a released model.
    others
        Runs of the same row that differ only in their seed, in order of the seed.
    """

    folder: Path
    name: str
    net: str
    representation: str
    protocol: Protocol
    scores: Scores
    facts: Facts | None = None
    others: tuple["Cell", ...] = ()

    @property
    def iterations(self) -> int | None:
        """The iterations of its training; None for a released model."""
        return self.facts.iterations if self.facts else None

    @property
    def seed(self) -> int | None:
        """The seed of its training; None for a released model."""
        return self.facts.seed if self.facts else None

    @property
    def trainings(self) -> tuple["Cell", ...]:
        """The cell itself and those with other seeds."""
        return (self, *self.others)

    @property
    def right(self) -> NDArray[np.float64]:
        """The share of the trainings that classify each image correctly, (N,) float64 in [0, 1]."""
        right = [one.scores.predictions == one.scores.labels for one in self.trainings]
        return np.asarray(np.mean(right, axis=0), np.float64)

    @property
    def accuracy(self) -> float:
        """The mean accuracy of the trainings, in [0, 1]."""
        return float(np.mean([one.scores.accuracy for one in self.trainings]))

    @property
    def spread(self) -> float:
        """The standard deviation (n - 1) of the accuracies of several trainings."""
        return float(np.std([one.scores.accuracy for one in self.trainings], ddof=1))

    @property
    def kind(self) -> str:
        """The net, also for a run with its own name."""
        return self.facts.net if self.facts else self.net

    @property
    def named(self) -> bool:
        """Whether it is a run with its own name."""
        return self.kind != self.net

    @property
    def settings(self) -> str:
        """The solver settings of a run that differ from the shipped row's."""
        return self.facts.settings if self.facts else ""

    @property
    def engine(self) -> str:
        """The engines that trained and scored it, and the marks of its training; for a released model, the scorer."""
        scorer = self.protocol.engine
        trained_by = self.facts.engine if self.facts else scorer
        engines = scorer if trained_by == scorer else f"{trained_by}, scored by {scorer}"
        marks = [mark for one in self.trainings if one.facts for mark in one.facts.marks]
        return ", ".join(dict.fromkeys([engines, *marks]))

    @property
    def row(self) -> str:
        """The name of its row in the table."""
        return self.name if self.named else f"{self.net}-{self.representation}"

    @property
    def provenance(self) -> Provenance:
        """The origin of its weights."""
        return provenance(self.name, stand_in=self.protocol.stand_in)

    @property
    def title(self) -> str:
        """The printed name."""
        return self.provenance.label(self.name, short=True)


def run_cells(runs: Iterable[Run], split: str, unreadable: dict[str, str] | None = None) -> tuple[Cell, ...]:
    """Read the scores of the scored runs; runs that differ only in their seed are one cell.

    Parameters
    ----------
    unreadable
        Receives, by row, why a run cannot be read. If it is None, such a run raises.

    Raises
    ------
    EmotiwError
        If a run cannot be read and `unreadable` is None.
    """
    found: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for run in runs:
        if not scores_file(run.folder, split).is_file():
            continue
        try:
            facts = run.facts()
            usual = facts.row == f"{facts.net}-{facts.representation}"
            cell = _read(run.folder, facts.row, facts.net if usual else facts.row, facts.representation, split, facts)
        except EmotiwError as error:
            if unreadable is None:
                raise
            unreadable[row_of(run)] = f"unreadable: {error}"
        else:
            found[facts.net, facts.representation, facts.recipe, facts.set_digest, facts.iterations].append(cell)
    return _sorted(cell for cells in found.values() for cell in _by_seed(cells))


def row_of(run: Run) -> str:
    """Return the row of a run by its folder's name, without reading its run.json."""
    return run.folder.parent.name


def released_cells(runs: Path, split: str) -> tuple[Cell, ...]:
    """Read the scores of the released models that were scored below RUNS."""
    return _sorted(
        _read(released_folder(runs, name), name, NET, model.representation, split)
        for name, model in released().items()
        if scores_file(released_folder(runs, name), split).is_file()
    )


def require_alike(cells: Sequence[Cell]) -> None:
    """Raise `EmotiwError` if cells of one split cannot be compared."""
    for before, cell in pairwise(cells):
        if cell.name == before.name:
            raise EmotiwError(f"{before.folder} and {cell.folder} are the same row: move one elsewhere")
    every = [training for cell in cells for training in cell.trainings]
    for first, cell in ((every[0], other) for other in every[1:]):
        require_same_classes(cell.name, cell.scores, first.name, first.scores)
        here, there = cell.protocol, first.protocol
        if (here.set_digest, here.crops) != (there.set_digest, there.crops):
            raise EmotiwError(
                f"{cell.name} and {first.name} were scored on different sets or crops: evaluate both in the same way, "
                "with --force"
            )
        mine, others = cell.scores, first.scores
        if mine.paths != others.paths:
            raise EmotiwError(
                f"{cell.name} and {first.name} have scores of different images: evaluate both with --force"
            )
        if (mine.labels != others.labels).any():
            raise EmotiwError(
                f"{cell.name} and {first.name} have different labels: evaluate both with the same --truth and --force"
            )
    for cell in cells:
        if len({one.protocol.mean_rule for one in cell.trainings}) > 1:
            raise EmotiwError(
                f"{cell.name}: its trainings were scored with different rules for the mean: evaluate all in the same "
                "way, with --force"
            )
    named = sorted({one.protocol.dataset for one in every} - {""})
    if len(named) > 1:
        raise EmotiwError(f"the scores are of {' and of '.join(named)}: evaluate all with one --set, with --force")
    if len({one.protocol.official for one in every} - {MadeOf()}) > 1:
        raise EmotiwError(
            "the scores name different official splits for the same images: evaluate all with one --set, with --force"
        )
    if len({one.scores.groups for one in every} - {()}) > 1:
        raise EmotiwError(
            "the scores name different groups for the same images: evaluate all with one --set, with --force"
        )


def require_same_classes(name: str, scores: Scores, other: str, others: Scores) -> None:
    """Raise `EmotiwError` if two nets were scored on different classes, or on the same in another order."""
    if scores.classes != others.classes:
        words = difference(scores.classes, others.classes, other)
        raise EmotiwError(f"{name} {words}: name nets of the same classes with --rows, or move the others elsewhere")


def representation_order(representation: str) -> tuple[int, str]:
    """Return a representation's sort key: the paper's five in its order, then others by name."""
    return _PAPER.index(representation) if representation in _PAPER else len(_PAPER), representation


def title(representation: str) -> str:
    """Return a representation's name for a table's head, marked "(ours)" if the paper did not use it."""
    return representation if representation in _PAPER else f"{representation} (ours)"


def _read(folder: Path, name: str, net: str, representation: str, split: str, facts: Facts | None = None) -> Cell:
    return Cell(folder, name, net, representation, *read_evaluation(folder, split), facts)


def _by_seed(cells: list[Cell]) -> list[Cell]:
    """Return cells that differ only in their seeds as one cell; if a seed occurs twice, return them unchanged."""
    seeds = {cell.seed: cell for cell in cells}
    if len(seeds) < len(cells):
        return cells
    first, *others = (seeds[seed] for seed in sorted(seeds, key=lambda seed: seed or 0))
    return [replace(first, others=tuple(others))]


def _sorted(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (cell.net, *representation_order(cell.representation))))
