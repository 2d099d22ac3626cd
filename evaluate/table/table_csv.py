"""Write table.csv, every figure in long form; read the ensemble's weights from it."""

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

from .cells import Cell
from .results import BASELINE
from .rows import Line, place_of
from .scored import TO_BE_SCORED, Count
from .statistics import EXACT
from .view import TableView

_LOG = logging.getLogger(__name__)

# How a figure was made: data set (empty: not known), interval, number of groups (0: of images), training, weights.
_FIGURES = ("accuracy", "low", "high", "mean_class_accuracy", "weight")
_MADE = ("dataset", "official", "drawn", "interval", "groups", "iterations", "seeds", "model_sha256")
_HEAD = ("name", "net", "representation", "engine", "split", "crops", "mean_rule", "n", *_FIGURES, "published", *_MADE)


def csv_text(view: TableView) -> str:
    """Return every figure in long form, one line each, then the runs without a figure.

    Optional columns: `mean_rule`, if a net was scored with another rule for the mean than its own; `published`, if
    there are published figures on the data set; `official`, if the official split is known; `kind` (the provenance), if
    there are released models and runs; `marks` (warnings, or why a run has no figure), if there are any.
    """
    gaps, scored = view.table.trained.gaps, view.scored
    lines: list[list[object]] = [[*_HEAD, "kind", "marks"]]
    lines += [[*_cells(view, line), line.provenance.title, "; ".join(view.warnings(line))] for line in view.lines]
    lines += [[row, *place_of(row), *[""] * (len(_HEAD) - 3), TRAINED.title, why] for row, why in gaps.items()]
    if scored:
        lines += [[*_counted(count, scored.split), "", _scored_by(count)] for count in scored.counts.values()]
    needed = {
        "mean_rule": any(line[_HEAD.index("mean_rule")] for line in lines[1:]),
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
    """Return the cells of a figure that others counted."""
    known: dict[str, object] = {"name": count.name, "split": split, "n": count.n}
    if count.interval:
        low, high = count.interval
        known |= {"accuracy": f"{count.accuracy:.6f}", "low": f"{low:.6f}", "high": f"{high:.6f}", "interval": EXACT}
    return [known.get(column, "") for column in _HEAD]


def _cells(view: TableView, line: Line) -> list[object]:
    """Return the cells of a figure, without `kind` and `marks`."""
    nets = {cell.name: cell for column in view.table.columns for cell in column.cells}
    between, cell, table = line.interval, line.cell, view.table
    values = [line.accuracy, between.low, between.high, line.mean_class_accuracy, line.weight, line.published]
    return [
        line.name,
        *(line.place if line.name in nets else ("", "")),
        line.engine,
        table.protocol.split,
        "" if line.name == BASELINE else table.protocol.crops,
        _unusual_rule(nets[line.name]) if line.name in nets else "",
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


def _unusual_rule(cell: Cell) -> str:
    """Return the rule for the mean of a net's scores, if it is not the net's own."""
    rule = cell.protocol.mean_rule
    return rule if cell.provenance.unusual(rule) else ""


@dataclass(frozen=True)
class _Weighted:
    """The columns that are read; `name` is a run's row or a released model's name."""

    name: str
    weight: Share | None = None
    kind: str = TRAINED.title
    crops: Literal["", "1", "10"] = ""
    mean_rule: Literal["", "resize", "crop", "channel"] = ""
    model_sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""


def ensemble_weights(models: Sequence[Model], table: Path, crops: int = 1, mean_rule: str = "") -> NDArray[np.float64]:
    """Return the weights of models that `emotiw table` fitted by likelihood, scaled to sum 1, (M,) float64.

    Log a warning if the ensemble is not the table's: it has fewer nets, other crops or another rule for the mean, or
    the table does not record the digests of its nets.

    Parameters
    ----------
    table
        A table.csv.
    crops
        The number of crops of each picture that the models are to predict with.
    mean_rule
        The rule for the mean that they are to predict with, a key of `preprocessing.MEAN_RULES`; empty: their own.

    Raises
    ------
    EmotiwError
        If the file is not such a table, has no weight for a model, has weights of an ensemble of other provenance
        (trained here, the authors', stand-ins) or of a net with other weights, or all weights are 0.
    """
    rows = [
        row for row, _ in read_table(table, _Weighted, "not a table of emotiw table: give its table.csv", others=True)
    ]
    weighted = {row.name: row for row in rows if row.weight is not None}
    found = {name: row.weight for name, row in weighted.items() if row.weight is not None}
    if len(weighted) < sum(row.weight is not None for row in rows):
        raise EmotiwError(f"{table} has several weights for one net: give the table.csv of one emotiw table")
    names = [model.name.split("/")[0] for model in models]
    if missing := [name for name in names if name not in found]:
        raise EmotiwError(f"{table} has no weight for {missing[0]}, only for {', '.join(found) or 'none'}: name those")
    for name, model in zip(names, models, strict=True):
        provenance, fitted_for = model.provenance.title, weighted[name].kind
        if provenance != fitted_for or model.provenance is not models[0].provenance:
            raise EmotiwError(
                f"{table} has the weights of an ensemble of {fitted_for:.40}, but {model.title} is {provenance}: give "
                "the table of these nets"
            )
        _require_same(model, weighted[name], table)
    rules = [model.taken_rule(mean_rule) for model in models]
    for words in (*_unlike(weighted, names, crops), *_other_rules(weighted, models, rules)):
        _LOG.warning(f"warning: {table}: {words}: this is not the ensemble of the table's figure")
    weights = np.array([found[name] for name in names])
    if not weights.sum():
        raise EmotiwError(f"{table} gives {', '.join(names)} the weight 0: name others of {', '.join(found)}")
    return np.asarray(weights / weights.sum(), np.float64)


def _require_same(model: Model, line: _Weighted, table: Path) -> None:
    """Raise if the net of a table's line and a model of the same name have different weights."""
    recorded = line.model_sha256
    if recorded and recorded != (here := file_digest(model.weights)):
        raise EmotiwError(
            f"{table} has the weight of another {line.name}: its sha256 is {recorded[:12]}, that of {model.weights} "
            f"{here[:12]}: give the table of the runs that are to predict"
        )


def _other_rules(lines: Mapping[str, _Weighted], models: Sequence[Model], rules: Sequence[str]) -> Iterator[str]:
    """Yield the first model whose mean is to be subtracted by another rule than for the table."""
    for model, rule in zip(models, rules, strict=True):
        name = model.name.split("/")[0]
        fitted = lines[name].mean_rule or model.mean_rule
        if rule != fitted:
            yield f"{name} was scored with the rule {fitted} for the mean, not {rule}"
            return


def _unlike(lines: Mapping[str, _Weighted], names: Sequence[str], crops: int) -> Iterator[str]:
    """Yield the differences between an ensemble of these nets and the table's."""
    of_weight = [name for name, line in lines.items() if line.weight]
    if missing := [name for name in of_weight if name not in names]:
        yield f"{len(names)} nets are given but it has weights for {len(of_weight)}, {missing[0]} among them"
    if strangers := {lines[name].crops for name in names} - {"", str(crops)}:
        yield f"its nets were scored with --crops {min(strangers)}, not {crops}"
    if not all(lines[name].model_sha256 for name in names):
        yield "it does not record the digests of its nets"
