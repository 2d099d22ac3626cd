"""The results table: as Markdown, as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tabulate import tabulate

from emotiw.data_prep.emotions import EMOTIONS

from .publications import Publication, cell_of
from .results import Cell, Results, place, title
from .scores import Scores
from .statistics import interval


def markdown(results: Results, known: Sequence[Publication]) -> str:
    """Return the table and what must be said beside it, as Markdown.

    Rows are nets and columns representations, accuracies in percent with the engine that scored; the
    ensembles and the published figures below.
    """
    n, protocol = len(results.first.labels), results.protocol
    head = (
        f"Accuracy in % on {n} {protocol.split} images, {protocol.crops} crop{'s' * (protocol.crops > 1)}; "
        f"always naming the commonest class: {results.first.majority:.2%}."
    )
    return "\n\n".join([head, _nets(results), _figures(results, known), *_remarks(results, known)]) + "\n"


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


def _nets(results: Results) -> str:
    names = columns(results)
    rows = [
        [net, *(_cell(cells[name]) if name in cells else "not run" for name in names), ", ".join(best(cells))]
        for net, cells in grid(results).items()
    ]
    return tabulate(rows, ["net", *map(title, names), "best"], tablefmt="github", disable_numparse=True)


def _cell(cell: Cell) -> str:
    return f"{cell.scores.accuracy * 100:.2f} ({cell.protocol.engine})"


@dataclass(frozen=True)
class Line:
    """One figure of the table: ours, its interval, and the published one beside it.

    Accuracies and the interval are shares in [0, 1]; `published` is None where nobody has published one.
    """

    name: str
    scores: Scores
    weight: float | None
    published: float | None

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval."""
        return interval(self.scores.predictions == self.scores.labels)

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies in the interval; None where there is none."""
        return None if self.published is None else self.interval[0] <= self.published <= self.interval[1]


def lines(results: Results, known: Sequence[Publication]) -> list[Line]:
    """Return every figure: a line a cell, then the ensembles."""

    def figure(net: str, representation: str) -> float | None:
        publication = cell_of(known, net, representation) if comparable(results) else None
        return publication.on(results.protocol.split) if publication else None

    weights = results.weights.get("likelihood", [None] * len(results.cells))
    return [
        Line(cell.row, cell.scores, weight, figure(cell.net, cell.representation))
        for cell, weight in zip(results.cells, weights, strict=True)
    ] + [
        Line(f"ensemble of {len(results.cells)}: {average.name}", average.scores, None, figure("ensemble", ""))
        for average in results.averages
    ]


def _figures(results: Results, known: Sequence[Publication]) -> str:
    rows = []
    for line in lines(results, known):
        row = [line.name, _percent(line.scores.accuracy), "{} - {}".format(*map(_percent, line.interval))]
        if line.published is None:
            row += ["not published", "", ""] * comparable(results)
        else:
            difference = f"{(line.scores.accuracy - line.published) * 100:+.2f}"
            row += [_percent(line.published), difference, "yes" if line.within else "no"]
        rows.append(row)
    head = ["", results.protocol.split, "95 % interval", "published (SFEW 2.0)", "difference", "within"]
    return tabulate(rows, head[: len(rows[0])], "github", disable_numparse=True)


def _percent(share: float) -> str:
    return f"{share * 100:.2f}"


def _remarks(results: Results, known: Sequence[Publication]) -> list[str]:
    remarks = []
    if comparable(results):
        paper = known[0]
        remarks.append(
            f"Published (SFEW 2.0): {paper.method}: val {paper.val}, test {paper.test}. "
            "On other faces than SFEW's the comparison says nothing."
        )
    if results.averages:
        for name, weights in results.weights.items():
            shares = ", ".join(f"{c.row} {w:.2f}" for c, w in zip(results.cells, weights, strict=True) if w >= 0.005)
            remarks.append(f"Weights by {name}, found on {len(results.known[0].labels)} val images: {shares}.")
        if results.weights and results.protocol.split == "val":
            remarks.append("Weights found and judged on the same images flatter; the other averages do not.")
        grown = ", ".join(f"{cell.row} {_percent(accuracy)}" for cell, accuracy in results.gains)
        remarks.append(f"The uniform average as it grows by the net that helps most: {grown}.")
    for net, cells in grid(results).items():
        if "rgb" in cells and len(cells) > 1:
            first = best(cells)
            if "rgb" not in first:
                verdict = "as in the paper, not RGB"
            else:
                verdict = "unlike in the paper, RGB" if len(first) == 1 else "RGB is among equals"
            remarks.append(f"Best representation of {net}: {', '.join(first)} ({verdict}).")
    return remarks


def csv_text(results: Results, known: Sequence[Publication]) -> str:
    """Return the same in long form, one line a figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ["accuracy", "low", "high", "mean_class_accuracy", "weight", "published"]
    writer.writerow(["name", "net", "representation", "engine", "split", "crops", "n", *figures])
    names = {cell.row: (cell.net, cell.representation, cell.protocol.engine) for cell in results.cells}
    protocol = results.protocol
    for line in lines(results, known):
        values = [line.scores.accuracy, *line.interval, line.scores.mean_class_accuracy, line.weight, line.published]
        cells = ["" if figure is None else f"{figure:.6f}" for figure in values]
        writer.writerow(
            [
                line.name,
                *names.get(line.name, ("", "", "")),
                protocol.split,
                protocol.crops,
                len(line.scores.labels),
                *cells,
            ]
        )
    return text.getvalue()
