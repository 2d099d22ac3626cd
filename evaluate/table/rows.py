"""The figures of a table: the grid of nets; every figure with its interval and the published one beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate.model import TRAINED, Provenance
from emotiw.evaluate.scores import Scores

from .cells import Cell, representation_order
from .published import Publication, cell_of
from .results import Column, Table
from .statistics import interval

BASELINE = "baseline: LBP histograms, SVM"

# What a figure is of: net and representation; `ensemble` and how it is averaged; `baseline` and nothing.
Place = tuple[str, str]
_BASELINE: Place = ("baseline", "")


@dataclass(frozen=True)
class Net:
    """A net's cells of one column, by representation."""

    name: str
    column: Column
    cells: dict[str, Cell]

    @property
    def title(self) -> str:
        """The net, and whose weights it has where they were not trained here."""
        whose = self.column.provenance
        return self.name if whose is TRAINED else f"{self.name}, {whose.mark}"

    @property
    def best(self) -> list[str]:
        """The representation on which it is most accurate; several where they are equal; none of random weights."""
        if not self.column.provenance.compared:
            return []
        most = max(cell.scores.accuracy for cell in self.cells.values())
        return [name for name, cell in self.cells.items() if cell.scores.accuracy == most]

    def why(self, representation: str) -> str:
        """Return why there is no cell."""
        row = f"{self.name}-{representation}"
        if self.column.provenance is TRAINED:
            return self.column.missing.get(row, "not run")
        return self.column.why(row)


@dataclass(frozen=True)
class Line:
    """One figure of the table: ours, its interval, and the published one beside it.

    Accuracies and the 95 % bootstrap interval are shares in [0, 1]; `published` is None where nothing is published, or
    it may not be compared. Figures of the same `place` stand beside each other; `engine` is what computed them.
    """

    name: str
    place: Place
    provenance: Provenance
    engine: str
    scores: Scores
    interval: tuple[float, float]
    weight: float | None
    published: float | None

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
    """The figures of the same thing, one a column of the table, or why there is none."""

    name: str
    figures: Mapping[Provenance, Line | str]
    published: float | None

    @property
    def engine(self) -> str:
        """What computed its figures."""
        return " / ".join(dict.fromkeys(line.engine for line in self.figures.values() if isinstance(line, Line)))


def representations(table: Table) -> list[str]:
    """Return the representations that have a cell: the paper's in its order, then the user's own."""
    found = {cell.representation for column in table.columns for cell in column.cells}
    return sorted(found, key=representation_order)


def grid(table: Table) -> list[Net]:
    """Return the nets: those trained here, then the released ones."""
    nets: list[Net] = []
    for column in table.columns:
        for cell in column.cells:
            if not nets or nets[-1].name != cell.net or nets[-1].column is not column:
                nets.append(Net(cell.net, column, {}))
            nets[-1].cells[cell.representation] = cell
    return nets


def compared(table: Table) -> list[Provenance]:
    """Return the columns beside which published figures may stand: of the seven emotions, and not of random weights."""
    if table.scores.classes != EMOTIONS:
        return []
    found = [column.provenance for column in table.filled]
    if table.baseline:
        found.append(TRAINED)
    return [each for each in dict.fromkeys(found) if each.compared]


def figures(table: Table, published: Sequence[Publication]) -> list[Line]:
    """Return every figure: of each column a line a cell, then the ensembles; then the baseline.

    `published` is empty where no published figure may stand beside them.
    """

    def line(name: str, place: Place, whose: Provenance, engine: str, scores: Scores, weight: float | None) -> Line:
        beside = _published(published, place, table) if whose.compared else None
        low_high = interval(scores.predictions == scores.labels)
        return Line(name, place, whose, engine, scores, low_high, weight, beside)

    found = []
    for column in table.columns:
        whose = column.provenance
        weights = column.weights.get("likelihood", [None] * len(column.cells))
        found += [
            line(cell.name, (cell.net, cell.representation), whose, cell.engine, cell.scores, weight)
            for cell, weight in zip(column.cells, weights, strict=True)
        ]
        size = f"ensemble of {len(column.cells)}"
        title = size if whose is TRAINED else f"{size}, {whose.mark}"
        engines = "; ".join(dict.fromkeys(cell.engine for cell in column.cells))
        found += [
            line(f"{title}: {average.name}", ("ensemble", average.name), whose, engines, average.scores, None)
            for average in column.averages
        ]
    if table.baseline:
        engine = table.baseline.protocol.engine
        found.append(line(BASELINE, _BASELINE, TRAINED, engine, table.baseline.scores, None))
    return found


def rows(table: Table, lines: Sequence[Line], published: Sequence[Publication]) -> list[Row]:
    """Return the lines as the table has them: figures of the same thing are a row."""
    by_place = {(line.place, line.provenance): line for line in lines}
    return [
        Row(
            name,
            {c.provenance: by_place.get((place, c.provenance)) or _why(c, place) for c in table.columns},
            _published(published, place, table),
        )
        for place, name in _places(table).items()
    ]


def _places(table: Table) -> dict[Place, str]:
    """Return what has a figure in any column, and its name: cells as in the grid, then ensembles, then the baseline."""
    cells = {(cell.net, cell.representation): cell.row for column in table.columns for cell in column.cells}
    cells |= {place_of(row): row for row in table.trained.gaps}
    ordered = sorted(cells, key=lambda place: (place[0], *representation_order(place[1])))
    sizes = dict.fromkeys(str(len(column.cells)) for column in table.columns if column.averages)
    # A column without validation scores has fewer averages than another, and none of its own.
    averages = max((column.averages for column in table.columns), key=len)
    places: dict[Place, str] = {place: cells[place] for place in ordered}
    places |= {("ensemble", average.name): f"ensemble of {' / '.join(sizes)}: {average.name}" for average in averages}
    if table.baseline:
        places[_BASELINE] = BASELINE
    return places


def place_of(row: str) -> Place:
    """Return the place of a run by its row."""
    net, _, representation = row.partition("-")
    return net, representation


def _published(published: Sequence[Publication], place: Place, table: Table) -> float | None:
    net, detail = place
    publication = cell_of(published, net, "" if net == "ensemble" else detail)
    return publication.on(table.protocol.split) if publication else None


def _why(column: Column, place: Place) -> str:
    """Return why a column has no figure in a place."""
    net, detail = place
    if place == _BASELINE:
        return "no net"
    if net != "ensemble":
        return column.why(f"{net}-{detail}")
    if column.cells:
        return "one net alone" if len(column.cells) == 1 else "not evaluated on val"
    return "not evaluated" if column.missing else column.provenance.absent


def percent(share: float) -> str:
    """Return a share in [0, 1] as the table prints it, in percent."""
    return f"{share * 100:.2f}"
