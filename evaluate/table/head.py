"""What a table says first: the set, whether it was drawn, how many images, how its nets were trained.

What is the same for all nets is said here, once; where they differ it is a column.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotiw.text import counted

from .cells import Cell
from .results import Table


@dataclass(frozen=True)
class Head:
    """A table's first lines, and which columns it needs.

    Attributes
    ----------
    lines
        In order.
    name
        The data set's name, or the set's where that is not known.
    engines, iterations, seeds
        Whether nets differ by them, so that a column says it of each; `seeds`: whether a row has several.
    by_class
        Whether the classes are of different sizes, so that mean class accuracy is another figure.
    """

    lines: list[str]
    name: str
    engines: bool
    iterations: bool
    seeds: bool
    by_class: bool


def head(table: Table) -> Head:
    """Return what a table says first."""
    cells = [cell for column in table.filled for cell in column.cells]
    counts = np.bincount(table.scores.labels)
    folder = Path(table.protocol.set_folder).name
    engines, iterations = _each(cell.engine for cell in cells), _each(cell.iterations for cell in cells)
    return Head(
        lines=[_set(table, folder), _figures(table), _trained(cells, engines, iterations)],
        name=table.dataset or ("drawn faces" if table.drawn else folder),
        engines=len(engines) > 1,
        iterations=len(iterations) > 1,
        seeds=any(cell.others for cell in cells),
        by_class=len(np.unique(counts[counts > 0])) > 1,
    )


def _set(table: Table, folder: str) -> str:
    if table.drawn:
        return f"Set {folder}: {table.dataset or 'faces'}, DRAWN, no photographs: nothing published compares with it."
    if table.dataset:
        return f"Set {folder}: {table.dataset}."
    return f"Set {folder}: of a data set that is not known (emotiw prepare --dataset names it)."


def _figures(table: Table) -> str:
    protocol, groups = table.protocol, len(set(table.groups))
    of = f"{table.beside} of {counted(groups, 'group')}" if groups else table.beside
    return (
        f"Accuracy in % on {len(table.scores.labels)} {protocol.split} images{of}, {counted(protocol.crops, 'crop')}; "
        f"always naming the commonest class: {table.scores.majority:.2%}."
    )


def _trained(cells: list[Cell], engines: list[object], iterations: list[object]) -> str:
    """Return how the nets were trained, as far as it is the same for all."""
    seeds = _each(one.seed for cell in cells for one in cell.trainings)
    seed = f"seed {seeds[0]}" if len(seeds) == 1 else ""
    facts = [one.facts for cell in cells for one in cell.trainings]
    trained = "Trained from scratch" if all(one and not one.weights for one in facts) else "Trained"
    if not iterations:
        how = "Scored"
    elif len(iterations) == 1:
        how = ", ".join(filter(None, [f"{trained} for {counted(int(str(iterations[0])), 'iteration')}", seed]))
    else:
        how = f"{trained} with {seed or 'several seeds'}, iterations as below"
    by = f"by {engines[0]}" if len(engines) == 1 else "by the engines below"
    return f"{how}, {by}." if iterations else f"{how} {by}."


def _each(values: Iterable[object]) -> list[object]:
    """Return the different values in order; None is none."""
    return [value for value in dict.fromkeys(values) if value is not None]
