"""The figures of a table: the grid of nets; every figure with its interval and the published one beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emotiw.evaluate.model import TRAINED, Provenance
from emotiw.evaluate.scores import Scores

from .cells import Cell, representation_order
from .published import Publication, cell_of
from .results import BASELINE, Column, Table
from .statistics import Interval, interval

# The place of a figure: net and representation; `ensemble` and its method; `baseline` and "".
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
        """The net and, if it was not trained here, the origin of its weights."""
        provenance = self.column.provenance
        return self.name if provenance is TRAINED else f"{self.name}, {provenance.mark}"

    @property
    def highest(self) -> list[str]:
        """The representations with the highest figure (several if equal); empty for random weights."""
        if not self.column.provenance.compared:
            return []
        most = max(cell.accuracy for cell in self.cells.values())
        return [name for name, cell in self.cells.items() if cell.accuracy == most]

    def why(self, representation: str) -> str:
        """Return why a representation has no cell."""
        row = f"{self.name}-{representation}"
        if self.column.provenance is TRAINED:
            return self.column.missing.get(row, "not run")
        return self.column.why(row)


@dataclass(frozen=True)
class Line:
    """One figure of the table, its interval and the published figure; accuracies are shares in [0, 1].

    Attributes
    ----------
    name
        The name of its row.
    place
        Its place; figures with the same place are in one row.
    provenance
        Its column.
    engine
        The engines that computed it.
    scores
        Its scores; with several trainings, those of the lowest seed.
    interval
        The 95 % interval.
    weight
        The net's weight in the ensemble by likelihood, or None.
    published
        The published accuracy; None if there is none that is comparable.
    cell
        The cell of a net's figure, which is the mean of its trainings; None for ensembles and baseline.
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
        """The accuracy."""
        return self.cell.accuracy if self.cell else self.scores.accuracy

    @property
    def mean_class_accuracy(self) -> float:
        """The mean of the accuracies by class."""
        trainings = self.cell.trainings if self.cell else (self,)
        return sum(one.scores.mean_class_accuracy for one in trainings) / len(trainings)

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies in the interval; None if there is none."""
        return None if self.published is None else self.interval.low <= self.published <= self.interval.high

    @property
    def between(self) -> str:
        """The printed interval, in percent."""
        return f"{percent(self.interval.low)} - {percent(self.interval.high)}"

    @property
    def words(self) -> list[str]:
        """The printed accuracy and interval, in percent."""
        return [percent(self.accuracy), self.between]

    @property
    def comparison(self) -> list[str]:
        """The printed difference from the published figure, and whether that is in the interval; else two ""."""
        if self.published is None:
            return ["", ""]
        return [f"{(self.accuracy - self.published) * 100:+.2f}", "yes" if self.within else "no"]


@dataclass(frozen=True)
class Row:
    """The figures of one place, by column of the table; a string says why there is none."""

    name: str
    figures: Mapping[Provenance, Line | str]
    published: float | None

    @property
    def engine(self) -> str:
        """The engines that computed its figures."""
        return " / ".join(dict.fromkeys(line.engine for line in self.figures.values() if isinstance(line, Line)))

    @property
    def iterations(self) -> str:
        """The iterations of its nets' trainings; empty for nets that were not trained here."""
        return " / ".join(str(cell.iterations) for cell in self._cells if cell.iterations is not None)

    @property
    def seeds(self) -> str:
        """The seeds of several trainings, and the spread of their figures; empty for a single training."""
        return " / ".join(seeds_of(cell) for cell in self._cells if cell.others)

    @property
    def _cells(self) -> list[Cell]:
        lines = [line for line in self.figures.values() if isinstance(line, Line)]
        return [line.cell for line in lines if line.cell]


def seeds_of(cell: Cell) -> str:
    """Return the seeds of a cell's trainings and the spread of their figures in percent, as printed."""
    accuracies = [one.scores.accuracy for one in cell.trainings]
    seeds = ", ".join(str(one.seed) for one in cell.trainings)
    spread = f"; s = {percent(cell.spread)}, {percent(min(accuracies))} to {percent(max(accuracies))}"
    return seeds + spread


def representations(table: Table) -> list[str]:
    """Return the representations that have a cell: the paper's in its order, then others."""
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
    """Return the columns that published figures are compared with.

    These have no random weights, and their images are not drawn and show the seven emotions.
    """
    if not table.of_emotions or table.drawn:
        return []
    found = [column.provenance for column in table.filled]
    if table.baseline:
        found.append(TRAINED)
    return [each for each in dict.fromkeys(found) if each.compared]


def figures(table: Table, published: Sequence[Publication]) -> list[Line]:
    """Return every figure: for each column the cells, then the ensembles; at the end the baseline.

    `published` is empty if no published figure is comparable.
    """

    def line(name: str, place: Place, origin: Provenance, engine: str, judged: Scores | Cell) -> Line:
        beside = _published(published, place) if origin.compared else None
        if isinstance(judged, Cell):
            found = interval(judged.right, table.groups)
            return Line(name, place, origin, engine, judged.scores, found, None, beside, judged)
        found = interval(judged.predictions == judged.labels, table.groups)
        return Line(name, place, origin, engine, judged, found, None, beside)

    found = []
    for column in table.columns:
        origin = column.provenance
        weights = column.weights.get("likelihood", [None] * len(column.cells))
        found += [
            replace(line(cell.name, (cell.net, cell.representation), origin, cell.engine, cell), weight=weight)
            for cell, weight in zip(column.cells, weights, strict=True)
        ]
        size = f"ensemble of {len(column.cells)}"
        title = size if origin is TRAINED else f"{size}, {origin.mark}"
        engines = "; ".join(dict.fromkeys(cell.engine for cell in column.cells))
        found += [
            line(f"{title}: {average.name}", ("ensemble", average.name), origin, engines, average.scores)
            for average in column.averages
        ]
    if table.baseline:
        engine = table.baseline.protocol.engine
        found.append(line(BASELINE, _BASELINE, TRAINED, engine, table.baseline.scores))
    return found


def rows(table: Table, lines: Sequence[Line], published: Sequence[Publication]) -> list[Row]:
    """Return the rows of the table: the figures of each place."""
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
    """Return the places with a figure in any column, and their names: cells, then ensembles, then the baseline."""
    cells = {(cell.net, cell.representation): cell.row for column in table.columns for cell in column.cells}
    cells |= {place_of(row): row for row in table.trained.gaps}
    ordered = sorted(cells, key=lambda place: (place[0], *representation_order(place[1])))
    sizes = dict.fromkeys(str(len(column.cells)) for column in table.columns if column.averages)
    # A column without validation scores has only a part of the averages, so take the column with most of them.
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
        return "only one net" if len(column.cells) == 1 else "not evaluated on val"
    return "not evaluated" if column.missing else column.provenance.absent


def percent(share: float) -> str:
    """Return a share in [0, 1] as the table prints it, in percent."""
    return f"{share * 100:.2f}"
