"""The table as Markdown."""

from tabulate import tabulate

from .cells import title
from .rows import Net, Row, percent
from .view import TableView


def markdown(view: TableView) -> str:
    """Return the table and its notes as Markdown.

    Rows are nets and columns are representations, with accuracies in percent, and engines if they differ. Below are
    all figures with ensembles, baseline and published figures, then the paper's claims and the notes.
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
    """Return the table of every figure: the columns' accuracies, then the published ones, then the differences."""
    head = ["", *(name for name, shown in _columns(view).items() if shown)]
    for column in view.table.columns:
        split = f"{view.table.protocol.split}{view.table.beside}"
        head += [column.provenance.title if view.several else split, "95 % interval"]
    if view.scored:
        head += [f"{view.scored.title}, scored by others", "95 % interval"]
    if view.compared:
        head.append(f"published ({view.head.name})")
    for provenance in view.compared:
        head += [f"{word}, {provenance.mark}" if view.several else word for word in ("difference", "within")]
    return tabulate([_line(view, row) for row in view.rows], head, "github", disable_numparse=True)


def _columns(view: TableView) -> dict[str, bool]:
    """Return for each optional column, by the field of `Row`, whether the table needs it."""
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
    for provenance in view.compared:
        figure = row.figures[provenance]
        cells += ["", ""] if isinstance(figure, str) else figure.comparison
    return cells
