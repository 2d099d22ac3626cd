"""The table as Markdown."""

from tabulate import tabulate

from emotiw.text import counted

from .cells import title
from .rows import Net, Row, percent
from .view import TableView


def markdown(view: TableView) -> str:
    """Return the table and what is said beside it, as Markdown.

    Rows are nets and columns representations, accuracies in percent with their engines; the
    ensembles, the baseline and the published figures below.
    """
    scores, protocol = view.table.scores, view.table.protocol
    head = (
        f"Accuracy in % on {len(scores.labels)} {protocol.split} images, {counted(protocol.crops, 'crop')}; "
        f"always naming the commonest class: {scores.majority:.2%}."
    )
    return "\n\n".join([head, _nets(view), _figures(view), *view.notes.sentences]) + "\n"


def _nets(view: TableView) -> str:
    body = [
        [net.title, *(_cell(view, net, name) for name in view.representations), ", ".join(net.best) or "random weights"]
        for net in view.nets
    ]
    return tabulate(body, ["net", *map(title, view.representations), "best"], tablefmt="github", disable_numparse=True)


def _cell(view: TableView, net: Net, representation: str) -> str:
    cell = net.cells.get(representation)
    if not cell:
        return net.why(representation)
    return f"{percent(cell.scores.accuracy)} ({cell.engine}){view.table.marks.at([cell.name])}"


def _figures(view: TableView) -> str:
    """Return every figure: the columns' accuracies, then the published ones, then the differences."""
    head = ["", "engine"]
    for column in view.table.columns:
        head += [column.provenance.title if view.several else view.table.protocol.split, "95 % interval"]
    if view.published:
        head.append("published (SFEW 2.0)")
    for whose in view.compared:
        head += [f"{word}, {whose.mark}" if view.several else word for word in ("difference", "within")]
    return tabulate([_line(view, row) for row in view.rows], head, "github", disable_numparse=True)


def _line(view: TableView, row: Row) -> list[str]:
    cells = [row.name, row.engine]
    for figure in row.figures.values():
        if isinstance(figure, str):
            cells += [figure, ""]
        else:
            accuracy, interval = figure.words
            cells += [accuracy + view.marks(figure), interval]
    if view.published:
        cells.append("not published" if row.published is None else percent(row.published))
    for whose in view.compared:
        figure = row.figures[whose]
        cells += ["", ""] if isinstance(figure, str) else figure.comparison
    return cells
