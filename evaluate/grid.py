"""The results as the paper's table has them: nets by representations."""

from emotiw.data_prep.emotions import EMOTIONS

from .results import Cell, Results, place


def columns(results: Results) -> list[str]:
    """Return the representations that have a cell: the paper's in its order, then the user's own."""
    return sorted({cell.representation for cell in results.cells}, key=place)


def grid(results: Results) -> dict[str, dict[str, Cell]]:
    """Return the cells by net and representation."""
    nets: dict[str, dict[str, Cell]] = {}
    for cell in results.cells:
        nets.setdefault(cell.net, {})[cell.representation] = cell
    return nets


def best(cells: dict[str, Cell]) -> list[str]:
    """Return the representation on which a net is most accurate; several where they are equal."""
    most = max(cell.scores.accuracy for cell in cells.values())
    return [name for name, cell in cells.items() if cell.scores.accuracy == most]


def comparable(results: Results) -> bool:
    """Whether the classes are the seven emotions, so that published figures may stand beside the results."""
    return results.first.classes == EMOTIONS
