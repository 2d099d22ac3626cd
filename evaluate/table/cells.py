"""What a table is made of: one net's result on a split, trained here or released by the authors."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    """One net's result on a split, where it lies and how it was scored; `name` is a run's row or a released model's.

    `facts` says how a run was trained. `others` are runs of the same row that differ by their seed alone, by seed;
    `scores` are those of the lowest one.
    A run of the user's own table has a name of its own, which then is its `net` here: it stands in a line of its own,
    beside which nothing is published; `kind` is its net.
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
        """For how many iterations it was trained; None of a released model."""
        return self.facts.iterations if self.facts else None

    @property
    def seed(self) -> int | None:
        """The seed of its training; None of a released model."""
        return self.facts.seed if self.facts else None

    @property
    def trainings(self) -> tuple["Cell", ...]:
        """Itself and the runs by other seeds."""
        return (self, *self.others)

    @property
    def right(self) -> NDArray[np.float64]:
        """The share of the trainings that names each image rightly, (N,)."""
        right = [one.scores.predictions == one.scores.labels for one in self.trainings]
        return np.asarray(np.mean(right, axis=0), np.float64)

    @property
    def accuracy(self) -> float:
        """The mean accuracy of the trainings, in [0, 1]."""
        return float(np.mean([one.scores.accuracy for one in self.trainings]))

    @property
    def spread(self) -> float:
        """The standard deviation of several trainings' accuracies."""
        return float(np.std([one.scores.accuracy for one in self.trainings], ddof=1))

    @property
    def kind(self) -> str:
        """The net, whatever a run is called."""
        return self.facts.net if self.facts else self.net

    @property
    def named(self) -> bool:
        """Whether it is a run with a name of its own."""
        return self.kind != self.net

    @property
    def settings(self) -> str:
        """In what a run's solver is not the shipped row's, in words."""
        return self.facts.settings if self.facts else ""

    @property
    def engine(self) -> str:
        """Which engine trained and scored it, and the marks of its training; of a released model, which scored."""
        scorer = self.protocol.engine
        trained_by = self.facts.engine if self.facts else scorer
        engines = scorer if trained_by == scorer else f"{trained_by}, scored by {scorer}"
        marks = [mark for one in self.trainings if one.facts for mark in one.facts.marks]
        return ", ".join(dict.fromkeys([engines, *marks]))

    @property
    def row(self) -> str:
        """Its place in the table."""
        return self.name if self.named else f"{self.net}-{self.representation}"

    @property
    def provenance(self) -> Provenance:
        """Where its weights come from."""
        return provenance(self.name, stand_in=self.protocol.stand_in)

    @property
    def title(self) -> str:
        """The name as it is printed."""
        return self.provenance.label(self.name, short=True)


def run_cells(runs: Iterable[Run], split: str, unreadable: dict[str, str] | None = None) -> tuple[Cell, ...]:
    """Read the scores of those runs that were scored; what differs by its seed alone is one cell.

    Parameters
    ----------
    unreadable
        Takes, by row, why a run cannot be read; where it is not given, that is an error.

    Raises
    ------
    EmotiwError
        If a run cannot be read.
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
    """Return the row of a run by the folder it lies in, whatever its run.json says."""
    return run.folder.parent.name


def released_cells(runs: Path, split: str) -> tuple[Cell, ...]:
    """Read the scores of the released models that were scored below RUNS."""
    return _sorted(
        _read(released_folder(runs, name), name, NET, model.representation, split)
        for name, model in released().items()
        if scores_file(released_folder(runs, name), split).is_file()
    )


def require_alike(cells: Sequence[Cell]) -> None:
    """Raise `EmotiwError` where cells of one split cannot stand beside each other."""
    for before, cell in pairwise(cells):
        if cell.name == before.name:
            raise EmotiwError(f"{before.folder} and {cell.folder} are the same row: move one elsewhere")
    every = [training for cell in cells for training in cell.trainings]
    for first, cell in ((every[0], other) for other in every[1:]):
        here, there = cell.protocol, first.protocol
        if (here.set_digest, here.crops) != (there.set_digest, there.crops):
            raise EmotiwError(
                f"{cell.name} and {first.name} were scored on different sets or crops: evaluate both alike, with "
                "--force"
            )
        mine, others = cell.scores, first.scores
        if (mine.paths, mine.classes) != (others.paths, others.classes):
            raise EmotiwError(f"{cell.name} and {first.name} have scores of other images: evaluate both with --force")
        if (mine.labels != others.labels).any():
            raise EmotiwError(
                f"{cell.name} and {first.name} have other labels: evaluate both with the same --truth, with --force"
            )
    named = sorted({one.protocol.dataset for one in every} - {""})
    if len(named) > 1:
        raise EmotiwError(f"the scores are of {' and of '.join(named)}: evaluate all with one --set, with --force")
    if len({one.protocol.official for one in every} - {MadeOf()}) > 1:
        raise EmotiwError(
            "the scores are of other official splits of the same images: evaluate all with one --set, with --force"
        )
    if len({one.scores.groups for one in every} - {()}) > 1:
        raise EmotiwError("the scores name other groups of the same images: evaluate all with one --set, with --force")


def representation_order(representation: str) -> tuple[int, str]:
    """Return the sort key of a representation: the paper's five first and in its order, then the user's own by name."""
    return _PAPER.index(representation) if representation in _PAPER else len(_PAPER), representation


def title(representation: str) -> str:
    """Return a representation's name for a table's head: what the paper did not use is called ours."""
    return representation if representation in _PAPER else f"{representation} (ours)"


def _read(folder: Path, name: str, net: str, representation: str, split: str, facts: Facts | None = None) -> Cell:
    return Cell(folder, name, net, representation, *read_evaluation(folder, split), facts)


def _by_seed(cells: list[Cell]) -> list[Cell]:
    """Return runs alike but for their seeds as one cell; where a seed comes twice, as they are."""
    seeds = {cell.seed: cell for cell in cells}
    if len(seeds) < len(cells):
        return cells
    first, *others = (seeds[seed] for seed in sorted(seeds, key=lambda seed: seed or 0))
    return [replace(first, others=tuple(others))]


def _sorted(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (cell.net, *representation_order(cell.representation))))
