"""The results table: as Markdown, as CSV."""

import csv
import io
from collections.abc import Sequence

from tabulate import tabulate

from .grid import best, columns, comparable, grid
from .lines import BASELINE, lines, percent
from .publications import Publication
from .remarks import remarks
from .results import Cell, Results, title


def markdown(results: Results, known: Sequence[Publication]) -> str:
    """Return the table and what must be said beside it, as Markdown.

    Rows are nets and columns representations, accuracies in percent with the engine that scored; the
    ensembles, the baseline and the published figures below.
    """
    n, protocol = len(results.first.labels), results.protocol
    head = (
        f"Accuracy in % on {n} {protocol.split} images, {protocol.crops} crop{'s' * (protocol.crops > 1)}; "
        f"always naming the commonest class: {results.first.majority:.2%}."
    )
    return "\n\n".join([head, _nets(results), _figures(results, known), *remarks(results, known)]) + "\n"


def _nets(results: Results) -> str:
    names = columns(results)
    rows = [
        [net, *(_cell(cells[name]) if name in cells else "not run" for name in names), ", ".join(best(cells))]
        for net, cells in grid(results).items()
    ]
    return tabulate(rows, ["net", *map(title, names), "best"], tablefmt="github", disable_numparse=True)


def _cell(cell: Cell) -> str:
    return f"{cell.scores.accuracy * 100:.2f} ({cell.protocol.engine})"


def _figures(results: Results, known: Sequence[Publication]) -> str:
    rows = []
    for line in lines(results, known):
        row = [line.name, percent(line.scores.accuracy), "{} - {}".format(*map(percent, line.interval))]
        if line.published is None:
            row += ["not published", "", ""] * comparable(results)
        else:
            difference = f"{(line.scores.accuracy - line.published) * 100:+.2f}"
            row += [percent(line.published), difference, "yes" if line.within else "no"]
        rows.append(row)
    head = ["", results.protocol.split, "95 % interval", "published (SFEW 2.0)", "difference", "within"]
    return tabulate(rows, head[: len(rows[0])], "github", disable_numparse=True)


def csv_text(results: Results, known: Sequence[Publication]) -> str:
    """Return the same in long form, one line a figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ["accuracy", "low", "high", "mean_class_accuracy", "weight", "published"]
    writer.writerow(["name", "net", "representation", "engine", "split", "crops", "n", *figures])
    names = {cell.row: (cell.net, cell.representation, cell.protocol.engine) for cell in results.cells}
    names[BASELINE] = ("", "", "scikit-learn")
    protocol = results.protocol
    for line in lines(results, known):
        values = [line.scores.accuracy, *line.interval, line.scores.mean_class_accuracy, line.weight, line.published]
        cells = ["" if figure is None else f"{figure:.6f}" for figure in values]
        writer.writerow(
            [
                line.name,
                *names.get(line.name, ("", "", "")),
                protocol.split,
                "" if line.name == BASELINE else protocol.crops,
                len(line.scores.labels),
                *cells,
            ]
        )
    return text.getvalue()
