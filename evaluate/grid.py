"""The results as the paper's table has them: nets by representations."""

from dataclasses import dataclass

from emotiw.data_prep.emotions import EMOTIONS

from .cells import Cell, place
from .model import TRAINED, Kind
from .results import Results


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
    kinds = [column.kind for column in results.filled] + [TRAINED] * bool(results.baseline)
    return [kind for kind in dict.fromkeys(kinds) if kind.compared and results.first.classes == EMOTIONS]
