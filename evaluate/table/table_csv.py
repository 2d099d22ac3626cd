"""table.csv: write every figure in long form; read the ensemble's weights back."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from emotiw.csv_cells import csv_lines
from emotiw.csv_table import read_table
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import TRAINED, Model
from emotiw.files import file_digest
from emotiw.json_record import Share

from .results import BASELINE
from .rows import Line, place_of
from .scored import TO_BE_SCORED, Count
from .statistics import EXACT
from .view import TableView

_LOG = logging.getLogger(__name__)

# How a figure was made: its data set (empty: not known), its interval, of how many groups (0: of images), and its nets'
# training; and of which weights.
_FIGURES = ("accuracy", "low", "high", "mean_class_accuracy", "weight")
_MADE = ("dataset", "official", "drawn", "interval", "groups", "iterations", "seeds", "model_sha256")
_HEAD = ("name", "net", "representation", "engine", "split", "crops", "n", *_FIGURES, "published", *_MADE)


def csv_text(view: TableView) -> str:
    """Return every figure in long form, one line each, then the runs without one.

    Published figures stand beside figures on the same data set only. Where released models stand beside runs, `kind`
    says whose each figure is; where anything must be said of a figure, or a run has none, `marks` says it.
    """
    gaps, scored = view.table.trained.gaps, view.scored
    lines: list[list[object]] = [[*_HEAD, "kind", "marks"]]
    lines += [[*_cells(view, line), line.provenance.title, "; ".join(view.said(line))] for line in view.lines]
    lines += [[row, *place_of(row), *[""] * (len(_HEAD) - 3), TRAINED.title, why] for row, why in gaps.items()]
    if scored:
        lines += [[*_counted(count, scored.split), "", _scored_by(count)] for count in scored.counts.values()]
    needed = {
        "published": bool(view.published),
        "official": bool(view.table.official.short),
        "kind": view.several,
        "marks": any(line[-1] for line in lines[1:]),
    }
    columns = [at for at, name in enumerate(lines[0]) if needed.get(str(name), True)]
    return "".join(csv_lines([line[at] for at in columns] for line in lines))


def _scored_by(count: Count) -> str:
    return "scored by others" if count.correct is not None else TO_BE_SCORED


def _counted(count: Count, split: str) -> list[object]:
    """Return what stands in the columns of a figure that others counted."""
    known: dict[str, object] = {"name": count.name, "split": split, "n": count.n}
    if count.interval:
        low, high = count.interval
        known |= {"accuracy": f"{count.accuracy:.6f}", "low": f"{low:.6f}", "high": f"{high:.6f}", "interval": EXACT}
    return [known.get(column, "") for column in _HEAD]


def _cells(view: TableView, line: Line) -> list[object]:
    """Return what stands in the columns of a figure, but for whose it is and what is said of it."""
    nets = {cell.name: cell for column in view.table.columns for cell in column.cells}
    between, cell, table = line.interval, line.cell, view.table
    values = [line.accuracy, between.low, between.high, line.mean_class_accuracy, line.weight, line.published]
    return [
        line.name,
        *(line.place if line.name in nets else ("", "")),
        line.engine,
        table.protocol.split,
        "" if line.name == BASELINE else table.protocol.crops,
        len(line.scores.labels),
        *("" if figure is None else f"{figure:.6f}" for figure in values),
        table.dataset,
        table.official.short,
        table.drawn,
        between.method,
        len(set(table.groups)),
        "" if cell is None or cell.iterations is None else cell.iterations,
        " ".join(str(one.seed) for one in cell.trainings if one.seed is not None) if cell else "",
        nets[line.name].protocol.weights_sha256 if line.name in nets else "",
    ]


@dataclass(frozen=True)
class _Weighted:
    """What is read of a line: a run's has its row's name, a released model's its own."""

    name: str
    weight: Share | None = None
    kind: str = TRAINED.title
    crops: Literal["", "1", "10"] = ""
    model_sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""


def ensemble_weights(models: Sequence[Model], table: Path, crops: int = 1) -> NDArray[np.float64]:
    """Return the (M,) weights of models as `emotiw table` found them by likelihood, scaled to sum to 1.

    A warning is logged where the ensemble is not the table's: of fewer nets, by other crops, or of a table that does
    not say which weights its nets had.

    Parameters
    ----------
    table
        A table.csv: a run's line has its row's name, a released model's its own.
    crops
        By how many crops a picture the models are to predict.

    Raises
    ------
    EmotiwError
        If it is no such table, lacks a model, found its weight in an ensemble of another kind of nets (trained here,
        the authors', stand-ins) or for a net of this name with other weights, or gives none of them any.
    """
    rows = [
        row
        for row, _ in read_table(table, _Weighted, "this is no table of emotiw table: give its table.csv", others=True)
    ]
    weighted = {row.name: row for row in rows if row.weight is not None}
    found = {name: row.weight for name, row in weighted.items() if row.weight is not None}
    if len(weighted) < sum(row.weight is not None for row in rows):
        raise EmotiwError(f"{table} has several weights of one net: give the table.csv of one emotiw table")
    names = [model.name.split("/")[0] for model in models]
    if missing := [name for name in names if name not in found]:
        raise EmotiwError(f"{table} has no weight of {missing[0]}: it has those of {', '.join(found) or 'none'}")
    for name, model in zip(names, models, strict=True):
        whose, found_on = model.provenance.title, weighted[name].kind
        if whose != found_on or model.provenance is not models[0].provenance:
            raise EmotiwError(
                f"{table} has the weights of an ensemble of {found_on:.40}, and {model.title} is {whose}: weights of "
                "one ensemble are for its own nets"
            )
        _require_same(model, weighted[name], table)
    for words in _unlike(weighted, names, crops):
        _LOG.warning(f"warning: {table}: {words}: this is not the ensemble whose figure it has")
    weights = np.array([found[name] for name in names])
    if not weights.sum():
        raise EmotiwError(f"{table} gives {', '.join(names)} no weight: name others of {', '.join(found)}")
    return np.asarray(weights / weights.sum(), np.float64)


def _require_same(model: Model, line: _Weighted, table: Path) -> None:
    """Raise where a table's net has the name of a model and other weights."""
    recorded = line.model_sha256
    if recorded and recorded != (here := file_digest(model.weights)):
        raise EmotiwError(
            f"{table} has the weight of another {line.name}: of the model {recorded[:12]}, and {model.weights} is "
            f"{here[:12]}: give the table of the runs that are to predict"
        )


def _unlike(lines: Mapping[str, _Weighted], names: Sequence[str], crops: int) -> Iterator[str]:
    """Yield in what an ensemble of these nets is not the table's."""
    of_weight = [name for name, line in lines.items() if line.weight]
    if missing := [name for name in of_weight if name not in names]:
        yield f"{len(names)} nets are given and it has weights of {len(of_weight)}, of {missing[0]}, too"
    if strangers := {lines[name].crops for name in names} - {"", str(crops)}:
        yield f"its nets were scored with --crops {min(strangers)}, not {crops}"
    if not all(lines[name].model_sha256 for name in names):
        yield "it does not say which weights its nets had"
