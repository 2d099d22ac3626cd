"""The figures of a table: the grid of nets; every figure with its interval and the published one beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate.model import TRAINED, Provenance
from emotiw.evaluate.scores import Scores

from .cells import Cell, representation_order
from .published import Publication, cell_of
from .results import BASELINE, Column, Table
from .statistics import Interval, interval

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
    def highest(self) -> list[str]:
        """The representation of the highest figure; several where they are equal; none of random weights."""
        if not self.column.provenance.compared:
            return []
        most = max(cell.accuracy for cell in self.cells.values())
        return [name for name, cell in self.cells.items() if cell.accuracy == most]

    def why(self, representation: str) -> str:
        """Return why there is no cell."""
        row = f"{self.name}-{representation}"
        if self.column.provenance is TRAINED:
            return self.column.missing.get(row, "not run")
        return self.column.why(row)


@dataclass(frozen=True)
class Line:
    """One figure of the table: ours, its interval, and the published one beside it.

    Accuracies and the 95 % interval are shares in [0, 1]; `published` is None where nothing is published, or it may not
    be compared. Figures of the same `place` stand beside each other; `engine` is what computed them. A net's figure has
    its `cell`, whose mean it is where there are several trainings.
    """

    name: str
    place: Place
    provenance: Provenance
    engine: str
    scores: Scores
    interval: Interval
    weight: float | None
    published: float | None
    cell: Cell | None = None

    @property
    def accuracy(self) -> float:
        """The figure."""
        return self.cell.accuracy if self.cell else self.scores.accuracy

    @property
    def mean_class_accuracy(self) -> float:
        """The mean of the classes' own accuracies."""
        trainings = self.cell.trainings if self.cell else (self,)
        return sum(one.scores.mean_class_accuracy for one in trainings) / len(trainings)

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies in the interval; None where there is none."""
        return None if self.published is None else self.interval.low <= self.published <= self.interval.high

    @property
    def between(self) -> str:
        """The interval as the table prints it."""
        return f"{percent(self.interval.low)} - {percent(self.interval.high)}"

    @property
    def words(self) -> list[str]:
        """Accuracy and interval as the table prints them."""
        return [percent(self.accuracy), self.between]

    @property
    def comparison(self) -> list[str]:
        """The difference to the published figure and whether it is within, as the table prints them; else empty."""
        if self.published is None:
            return ["", ""]
        return [f"{(self.accuracy - self.published) * 100:+.2f}", "yes" if self.within else "no"]


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

    @property
    def iterations(self) -> str:
        """For how many iterations its nets were trained; empty where they were not trained here."""
        return " / ".join(str(cell.iterations) for cell in self._cells if cell.iterations is not None)

    @property
    def seeds(self) -> str:
        """Of several trainings the seeds, and the spread of their figures."""
        return " / ".join(seeds_of(cell) for cell in self._cells if cell.others)

    @property
    def _cells(self) -> list[Cell]:
        lines = [line for line in self.figures.values() if isinstance(line, Line)]
        return [line.cell for line in lines if line.cell]


def seeds_of(cell: Cell) -> str:
    """Return the seeds of a cell's trainings, and the spread of their figures in percent."""
    accuracies = [one.scores.accuracy for one in cell.trainings]
    seeds = ", ".join(str(one.seed) for one in cell.trainings)
    spread = f"; s = {percent(cell.spread)}, {percent(min(accuracies))} to {percent(max(accuracies))}"
    return seeds + spread


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
    """Return the columns beside which published figures may stand: not of random weights, nor on drawn faces."""
    if table.scores.classes != EMOTIONS or table.drawn:
        return []
    found = [column.provenance for column in table.filled]
    if table.baseline:
        found.append(TRAINED)
    return [each for each in dict.fromkeys(found) if each.compared]


def figures(table: Table, published: Sequence[Publication]) -> list[Line]:
    """Return every figure: of each column a line a cell, then the ensembles; then the baseline.

    `published` is empty where no published figure may stand beside them.
    """

    def line(name: str, place: Place, whose: Provenance, engine: str, judged: Scores | Cell) -> Line:
        beside = _published(published, place) if whose.compared else None
        if isinstance(judged, Cell):
            found = interval(judged.right, table.groups)
            return Line(name, place, whose, engine, judged.scores, found, None, beside, judged)
        found = interval(judged.predictions == judged.labels, table.groups)
        return Line(name, place, whose, engine, judged, found, None, beside)

    found = []
    for column in table.columns:
        whose = column.provenance
        weights = column.weights.get("likelihood", [None] * len(column.cells))
        found += [
            replace(line(cell.name, (cell.net, cell.representation), whose, cell.engine, cell), weight=weight)
            for cell, weight in zip(column.cells, weights, strict=True)
        ]
        size = f"ensemble of {len(column.cells)}"
        title = size if whose is TRAINED else f"{size}, {whose.mark}"
        engines = "; ".join(dict.fromkeys(cell.engine for cell in column.cells))
        found += [
            line(f"{title}: {average.name}", ("ensemble", average.name), whose, engines, average.scores)
            for average in column.averages
        ]
    if table.baseline:
        engine = table.baseline.protocol.engine
        found.append(line(BASELINE, _BASELINE, TRAINED, engine, table.baseline.scores))
    return found


def rows(table: Table, lines: Sequence[Line], published: Sequence[Publication]) -> list[Row]:
    """Return the lines as the table has them: figures of the same thing are a row."""
    by_place = {(line.place, line.provenance): line for line in lines}
    return [
        Row(
            name,
            {c.provenance: by_place.get((place, c.provenance)) or _why(c, place) for c in table.columns},
            _published(published, place),
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


def _published(published: Sequence[Publication], place: Place) -> float | None:
    net, detail = place
    publication = cell_of(published, net, "" if net == "ensemble" else detail)
    return publication.share if publication else None


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
