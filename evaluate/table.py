"""The results table: as Markdown, as CSV."""

import csv
import io

from tabulate import tabulate

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.sets import SPLITS

from .results import Cell, Results, place, published


def markdown(results: Results) -> str:
    """Return the table and what must be said beside it, as Markdown.

    Rows are nets and columns representations, accuracies in percent with the engine that trained and scored; the
    ensembles and the published figures below.
    """
    n, protocol = len(results.first.labels), results.protocol
    head = (
        f"Accuracy in % on {n} {protocol.split} images, {protocol.crops} crop{'s' * (protocol.crops > 1)}; "
        f"always naming the commonest class: {results.first.majority:.2%}."
    )
    return "\n\n".join(filter(None, [head, _nets(results), _ensembles(results), *_remarks(results)])) + "\n"


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
    return tabulate(rows, ["net", *names, "best"], tablefmt="github", disable_numparse=True)


def _cell(cell: Cell) -> str:
    return f"{cell.scores.accuracy * 100:.2f} ({cell.protocol.engine})"


def _ensembles(results: Results) -> str:
    paper, split = published()[0], results.protocol.split
    rows = [
        {"": f"ensemble of {len(results.cells)}: {average.name}", split: f"{average.scores.accuracy * 100:.2f}"}
        for average in results.averages
    ]
    if comparable(results):
        rows.append({"": f"published (SFEW 2.0): {paper['method']}", "val": paper["val"], "test": paper["test"]})
    names = ["", *sorted({split, *rows[-1]} - {""}, key=SPLITS.index)] if rows else []
    return tabulate([[row.get(name, "") for name in names] for row in rows], names, "github", disable_numparse=True)


def _remarks(results: Results) -> list[str]:
    remarks = []
    if results.weights is not None and results.averages:
        shares = ", ".join(f"{c.row} {w:.2f}" for c, w in zip(results.cells, results.weights, strict=True))
        remarks.append(f"Ensemble weights, found on {len(results.known[0].labels)} val images: {shares}.")
        if results.protocol.split == "val":
            remarks.append("Weights found and judged on the same images flatter; the other averages do not.")
    for net, cells in grid(results).items():
        if "rgb" in cells and len(cells) > 1:
            first = best(cells)
            if "rgb" not in first:
                verdict = "as in the paper, not RGB"
            else:
                verdict = "unlike in the paper, RGB" if len(first) == 1 else "RGB is among equals"
            remarks.append(f"Best representation of {net}: {', '.join(first)} ({verdict}).")
    return remarks


def csv_text(results: Results) -> str:
    """Return the same in long form, one line a figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["name", "net", "representation", "engine", "split", "crops", "n", "accuracy", "mean_class_accuracy", "weight"]
    )
    protocol = results.protocol
    weights = [""] * len(results.cells) if results.weights is None else [f"{w:.6f}" for w in results.weights]
    lines = [
        ((cell.row, cell.net, cell.representation, cell.protocol.engine), cell.scores, weight)
        for cell, weight in zip(results.cells, weights, strict=True)
    ]
    lines += [((f"ensemble: {average.name}", "", "", ""), average.scores, "") for average in results.averages]
    for names, scores, weight in lines:
        figures = [f"{scores.accuracy:.6f}", f"{scores.mean_class_accuracy:.6f}", weight]
        writer.writerow([*names, protocol.split, protocol.crops, len(scores.labels), *figures])
    return text.getvalue()
