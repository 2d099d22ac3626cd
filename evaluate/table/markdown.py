"""The table as Markdown."""

from tabulate import tabulate

from .cells import title
from .rows import Net, Row, percent
from .view import TableView


def markdown(view: TableView) -> str:
    """Return the table and what is said beside it, as Markdown.

    Rows are nets and columns representations, accuracies in percent, with their engines where these differ; below them
    the ensembles, the baseline and the published figures, and the paper's claims.
    """
    parts = ["\n".join(view.head.lines), _nets(view), _figures(view), _claims(view), *view.notes.sentences]
    return "\n\n".join(part for part in parts if part) + "\n"


def _nets(view: TableView) -> str:
    body = [
        [
            net.title,
            *(_cell(view, net, name) for name in view.representations),
            ", ".join(net.highest) or "random weights",
        ]
        for net in view.nets
    ]
    head = ["net", *map(title, view.representations), "highest"]
    return tabulate(body, head, tablefmt="github", disable_numparse=True)


def _cell(view: TableView, net: Net, representation: str) -> str:
    cell = net.cells.get(representation)
    if not cell:
        return net.why(representation)
    spread = f" +- {percent(cell.spread)}" if cell.others else ""
    engine = f" ({cell.engine})" if view.head.engines else ""
    return f"{percent(cell.accuracy)}{spread}{engine}{view.table.marks.at([cell.name])}"


def _figures(view: TableView) -> str:
    """Return every figure: the columns' accuracies, then the published ones, then the differences."""
    head = ["", *(name for name, shown in _columns(view).items() if shown)]
    for column in view.table.columns:
        split = f"{view.table.protocol.split}{view.table.beside}"
        head += [column.provenance.title if view.several else split, "95 % interval"]
    if view.scored:
        head += [f"{view.scored.title}, scored by others", "95 % interval"]
    if view.compared:
        head.append(f"published ({view.head.name})")
    for whose in view.compared:
        head += [f"{word}, {whose.mark}" if view.several else word for word in ("difference", "within")]
    return tabulate([_line(view, row) for row in view.rows], head, "github", disable_numparse=True)


def _columns(view: TableView) -> dict[str, bool]:
    """Return which columns say of each row what the first lines do not say of all; each is a field of `Row`."""
    return {"engine": view.head.engines, "iterations": view.head.iterations, "seeds": view.head.seeds}


def _claims(view: TableView) -> str:
    if not view.claims:
        return ""
    return tabulate([claim.words for claim in view.claims], "keys", "github", disable_numparse=True)


def _line(view: TableView, row: Row) -> list[str]:
    cells = [row.name, *(getattr(row, name) for name, shown in _columns(view).items() if shown)]
    for figure in row.figures.values():
        if isinstance(figure, str):
            cells += [figure, ""]
        else:
            accuracy, interval = figure.words
            cells += [accuracy + view.marks(figure), interval]
    if view.scored:
        cells += view.counted(row)
    if view.compared:
        cells.append("not published" if row.published is None else percent(row.published))
    for whose in view.compared:
        figure = row.figures[whose]
        cells += ["", ""] if isinstance(figure, str) else figure.comparison
    return cells
