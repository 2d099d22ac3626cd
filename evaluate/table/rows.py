"""The rows of the table: every figure with its interval and the published one beside it; the grid of nets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate.model import TRAINED, Kind
from emotiw.evaluate.scores import Scores

from .cells import Cell, place
from .cells import place as order
from .published import Publication, cell_of
from .results import Results
from .statistics import interval


@dataclass(frozen=True)
class Net:
    """A net's cells, by representation; `column` are the results that they are of."""

    name: str
    column: Results
    cells: dict[str, Cell]

    @property
    def title(self) -> str:
        """The net, and whose weights it has where they were not trained here."""
        return self.name if self.column.kind is TRAINED else f"{self.name}, {self.column.kind.mark}"

    @property
    def best(self) -> list[str]:
        """The representation on which it is most accurate; several where they are equal; none of random weights."""
        most = max(cell.scores.accuracy for cell in self.cells.values())
        return [name for name, cell in self.cells.items() if self.column.kind.compared and cell.scores.accuracy == most]

    def why(self, representation: str) -> str:
        """Return why there is no cell."""
        return "not run" if self.column.kind is TRAINED else self.column.why(f"{self.name}-{representation}")


def representations(results: Results) -> list[str]:
    """Return the representations that have a cell: the paper's in its order, then the user's own."""
    return sorted({cell.representation for column in results.columns for cell in column.cells}, key=place)


def grid(results: Results) -> list[Net]:
    """Return the nets: those trained here, then the released ones."""
    nets: list[Net] = []
    for column in results.columns:
        for cell in column.cells:
            if not nets or nets[-1].name != cell.net or nets[-1].column is not column:
                nets.append(Net(cell.net, column, {}))
            nets[-1].cells[cell.representation] = cell
    return nets


def compared(results: Results) -> list[Kind]:
    """Return the kinds beside which published figures may stand: of the seven emotions, and not of random weights."""
    kinds = [column.kind for column in results.filled]
    if results.baseline:
        kinds.append(TRAINED)
    return [kind for kind in dict.fromkeys(kinds) if kind.compared and results.first.classes == EMOTIONS]


BASELINE = "baseline: LBP histograms, SVM"

# What a figure is of: net and representation; `ensemble` and how it is averaged; `baseline` and nothing.
Place = tuple[str, str]
_BASELINE: Place = ("baseline", "")


@dataclass(frozen=True)
class Line:
    """One figure of the table: ours, its interval, and the published one beside it.

    Accuracies and the interval are shares in [0, 1]; `published` is None where nobody has published one, or it may not
    be compared. Figures of the same `place` stand beside each other; `kind` says whose weights they are of, `engine`
    what computed them.
    """

    name: str
    place: Place
    kind: Kind
    engine: str
    scores: Scores
    weight: float | None
    published: float | None

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval."""
        return interval(self.scores.predictions == self.scores.labels)

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies in the interval; None where there is none."""
        return None if self.published is None else self.interval[0] <= self.published <= self.interval[1]

    @property
    def words(self) -> list[str]:
        """Accuracy and interval as the table prints them."""
        return [percent(self.scores.accuracy), "{} - {}".format(*map(percent, self.interval))]

    @property
    def comparison(self) -> list[str]:
        """The difference to the published figure and whether it is within, as the table prints them; else empty."""
        if self.published is None:
            return ["", ""]
        return [f"{(self.scores.accuracy - self.published) * 100:+.2f}", "yes" if self.within else "no"]


@dataclass(frozen=True)
class Row:
    """The figures of the same thing, one a column of the results, or why there is none."""

    name: str
    figures: Mapping[Kind, Line | str]
    published: float | None

    @property
    def engine(self) -> str:
        """What computed its figures."""
        return " / ".join(dict.fromkeys(line.engine for line in self.figures.values() if isinstance(line, Line)))


def lines(results: Results, known: Sequence[Publication]) -> list[Line]:
    """Return every figure: of each column a line a cell, then the ensembles; then the baseline."""
    found = []
    for column in results.columns:
        weights = column.weights.get("likelihood", [None] * len(column.cells))
        found += [
            Line(cell.name, (cell.net, cell.representation), column.kind, cell.engine, cell.scores, weight, None)
            for cell, weight in zip(column.cells, weights, strict=True)
        ]
        ensemble = f"ensemble of {len(column.cells)}"
        whose = ensemble if column.kind is TRAINED else f"{ensemble}, {column.kind.mark}"
        engines = "; ".join(dict.fromkeys(cell.engine for cell in column.cells))
        found += [
            Line(
                f"{whose}: {average.name}", ("ensemble", average.name), column.kind, engines, average.scores, None, None
            )
            for average in column.averages
        ]
    if results.baseline:
        found.append(
            Line(BASELINE, _BASELINE, TRAINED, results.baseline.protocol.engine, results.baseline.scores, None, None)
        )
    kinds = compared(results)
    return [
        replace(line, published=_published(results, known, line.place)) if line.kind in kinds else line
        for line in found
    ]


def rows(results: Results, known: Sequence[Publication]) -> list[Row]:
    """Return the lines as the table has them: figures of the same thing are a row."""
    by_place = {(line.place, line.kind): line for line in lines(results, known)}
    return [
        Row(
            name,
            {c.kind: by_place.get((place, c.kind)) or _why(c, place) for c in results.columns},
            _published(results, known, place) if compared(results) else None,
        )
        for place, name in _places(results).items()
    ]


def _places(results: Results) -> dict[Place, str]:
    """Return what has a figure in any column, and its name: cells as in the grid, then ensembles, then the baseline."""
    cells = {(cell.net, cell.representation): cell.row for column in results.columns for cell in column.cells}
    sizes = dict.fromkeys(str(len(column.cells)) for column in results.columns if column.averages)
    # A column without validation scores has fewer averages than another, and none of its own.
    averages = max((column.averages for column in results.columns), key=len)
    return (
        {cell: cells[cell] for cell in sorted(cells, key=lambda cell: (cell[0], *order(cell[1])))}
        | {("ensemble", average.name): f"ensemble of {' / '.join(sizes)}: {average.name}" for average in averages}
        | ({_BASELINE: BASELINE} if results.baseline else {})
    )


def _published(results: Results, known: Sequence[Publication], place: Place) -> float | None:
    net, detail = place
    publication = cell_of(known, net, "" if net == "ensemble" else detail)
    return publication.on(results.protocol.split) if publication else None


def _why(column: Results, place: Place) -> str:
    """Return why a column has no figure in a place."""
    net, detail = place
    if place == _BASELINE:
        return "no net"
    if net != "ensemble":
        return column.why(f"{net}-{detail}")
    if column.cells:
        return "one net alone" if len(column.cells) == 1 else "not evaluated on val"
    return "not evaluated" if column.missing else column.kind.otherwise


def percent(share: float) -> str:
    """Return a share in [0, 1] as the table prints it, in percent."""
    return f"{share * 100:.2f}"
