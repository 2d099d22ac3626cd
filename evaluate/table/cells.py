"""What a table is made of: one net's result on a split, trained here or released by the authors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

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

    `facts` are a run's.
    """

    folder: Path
    name: str
    net: str
    representation: str
    protocol: Protocol
    scores: Scores
    facts: Facts | None = None

    @property
    def engine(self) -> str:
        """Which engine trained and scored it; of a released model, which scored."""
        scorer, trained_by = self.protocol.engine, self.facts.engine if self.facts else ""
        return scorer if trained_by in ("", scorer) else f"{trained_by}, scored by {scorer}"

    @property
    def row(self) -> str:
        """Its place in the table."""
        return f"{self.net}-{self.representation}"

    @property
    def provenance(self) -> Provenance:
        """Where its weights come from."""
        return provenance(self.name, stand_in=self.protocol.stand_in)

    @property
    def title(self) -> str:
        """The name as it is printed."""
        return self.provenance.label(self.name, short=True)


def run_cells(runs: Iterable[Run], split: str, unreadable: dict[str, str] | None = None) -> tuple[Cell, ...]:
    """Read the scores of those runs that were scored.

    Parameters
    ----------
    unreadable
        Takes, by row, why a run cannot be read; where it is not given, that is an error.

    Raises
    ------
    EmotiwError
        If a run cannot be read.
    """
    cells = []
    for run in runs:
        if not scores_file(run.folder, split).is_file():
            continue
        try:
            facts = run.facts()
            name = f"{facts.net}-{facts.representation}"
            cells.append(_read(run.folder, name, facts.net, facts.representation, split, facts))
        except EmotiwError as error:
            if unreadable is None:
                raise
            unreadable[row_of(run)] = f"unreadable: {error}"
    return _sorted(cells)


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
        first = cells[0]
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


def representation_order(representation: str) -> tuple[int, str]:
    """Return the sort key of a representation: the paper's five first and in its order, then the user's own by name."""
    return _PAPER.index(representation) if representation in _PAPER else len(_PAPER), representation


def title(representation: str) -> str:
    """Return a representation's name for a table's head: what the paper did not use is called ours."""
    return representation if representation in _PAPER else f"{representation} (ours)"


def _read(folder: Path, name: str, net: str, representation: str, split: str, facts: Facts | None = None) -> Cell:
    return Cell(folder, name, net, representation, *read_evaluation(folder, split), facts)


def _sorted(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (cell.net, *representation_order(cell.representation))))
