"""The first lines of a table: the set, whether it was drawn, the number of images, how the nets were trained.

A property that all nets share is printed here once; one in which they differ is a column.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotiw.text import counted

from .cells import Cell
from .results import Table

_MOST_NAMED = 20  # classes; people are more


@dataclass(frozen=True)
class Head:
    """A table's first lines, and which columns it needs.

    Attributes
    ----------
    lines
        The lines, in order.
    name
        The data set's name, or the set's folder if that is not known.
    engines, iterations, seeds
        Whether the table needs a column for them: nets differ in engine or iterations, or a row has several seeds.
    by_class
        Whether classes differ in size, so that mean class accuracy differs from accuracy.
    """

    lines: list[str]
    name: str
    engines: bool
    iterations: bool
    seeds: bool
    by_class: bool


def head(table: Table) -> Head:
    """Return the first lines of a table, and the columns it needs."""
    cells = [cell for column in table.filled for cell in column.cells]
    counts = np.bincount(table.scores.labels)
    folder = Path(table.protocol.set_folder).name
    engines, iterations = _each(cell.engine for cell in cells), _each(cell.iterations for cell in cells)
    return Head(
        lines=[_set(table, folder), *_classes(table), _figures(table), _trained(cells, engines, iterations)],
        name=table.dataset or ("drawn faces" if table.drawn else folder),
        engines=len(engines) > 1,
        iterations=len(iterations) > 1,
        seeds=any(cell.others for cell in cells),
        by_class=len(np.unique(counts[counts > 0])) > 1,
    )


def _set(table: Table, folder: str) -> str:
    if table.drawn:
        return (
            f"Set {folder}: {table.dataset or 'faces'}, DRAWN, no photographs: not comparable with published figures."
        )
    if table.dataset:
        return f"Set {folder}: {table.dataset}."
    return f"Set {folder}: unknown data set (name it with emotiw prepare --dataset)."


def _classes(table: Table) -> Iterator[str]:
    """Yield the classes if they are not the seven emotions."""
    names = table.scores.classes
    if not table.of_emotions:
        shown = ", ".join(names) if len(names) <= _MOST_NAMED else f"{len(names):,}"
        yield (
            f"Classes: {shown}; not the paper's seven emotions, so its published figures are not compared and its "
            "claims not tested: tests compare only the nets of this table."
        )


def _figures(table: Table) -> str:
    protocol, groups = table.protocol, len(set(table.groups))
    of = f"{table.beside} of {counted(groups, 'group')}" if groups else table.beside
    return (
        f"Accuracy in % on {len(table.scores.labels)} {protocol.split} images{of}, {counted(protocol.crops, 'crop')}; "
        f"a constant guess of the commonest class: {table.scores.majority:.2%}."
    )


def _trained(cells: list[Cell], engines: list[object], iterations: list[object]) -> str:
    """Return how the nets were trained, as far as all share it."""
    seeds = _each(one.seed for cell in cells for one in cell.trainings)
    seed = f"seed {seeds[0]}" if len(seeds) == 1 else ""
    facts = [one.facts for cell in cells for one in cell.trainings]
    trained = "Trained from scratch" if all(one and not one.weights for one in facts) else "Trained"
    if not iterations:
        how = "Scored"
    elif len(iterations) == 1:
        how = ", ".join(filter(None, [f"{trained} for {counted(int(str(iterations[0])), 'iteration')}", seed]))
    else:
        how = f"{trained} with {seed or 'several seeds'}, for the iterations below"
    by = f"by {engines[0]}" if len(engines) == 1 else "by the engines below"
    return f"{how}, {by}." if iterations else f"{how} {by}."


def _each(values: Iterable[object]) -> list[object]:
    """Return the different values in order, without None."""
    return [value for value in dict.fromkeys(values) if value is not None]
