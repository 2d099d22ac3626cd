"""The results table as Markdown."""

from collections.abc import Sequence

from tabulate import tabulate

from emotiw.text import counted

from .cells import title
from .notes import remarks
from .published import Publication
from .results import Results
from .rows import Net, compared, grid, percent, representations, rows


def markdown(results: Results, known: Sequence[Publication]) -> str:
    """Return the table and what must be said beside it, as Markdown.

    Rows are nets and columns representations, accuracies in percent with their engines; the
    ensembles, the baseline and the published figures below.
    """
    n, protocol = len(results.first.labels), results.protocol
    head = (
        f"Accuracy in % on {n} {protocol.split} images, {counted(protocol.crops, 'crop')}; "
        f"always naming the commonest class: {results.first.majority:.2%}."
    )
    return "\n\n".join([head, _nets(results), _figures(results, known), *remarks(results, known)]) + "\n"


def _nets(results: Results) -> str:
    names = representations(results)
    body = [
        [net.title, *(_cell(net, name) for name in names), ", ".join(net.best) or "random weights"]
        for net in grid(results)
    ]
    return tabulate(body, ["net", *map(title, names), "best"], tablefmt="github", disable_numparse=True)


def _cell(net: Net, representation: str) -> str:
    cell = net.cells.get(representation)
    return f"{percent(cell.scores.accuracy)} ({cell.engine})" if cell else net.why(representation)


def _figures(results: Results, known: Sequence[Publication]) -> str:
    """Return every figure: the columns' accuracies, then the published ones, then what lies between."""
    several, beside = bool(results.released), compared(results)
    head = ["", "engine"]
    for column in results.columns:
        head += [column.kind.title if several else results.protocol.split, "95 % interval"]
    if beside:
        head.append("published (SFEW 2.0)")
    for kind in beside:
        head += [f"{word}, {kind.mark}" if several else word for word in ("difference", "within")]
    body = []
    for row in rows(results, known):
        cells = [row.name, row.engine]
        for figure in row.figures.values():
            cells += [figure, ""] if isinstance(figure, str) else figure.words
        if beside:
            cells.append("not published" if row.published is None else percent(row.published))
        for kind in beside:
            figure = row.figures[kind]
            cells += ["", ""] if isinstance(figure, str) else figure.comparison
        body.append(cells)
    return tabulate(body, head, "github", disable_numparse=True)
