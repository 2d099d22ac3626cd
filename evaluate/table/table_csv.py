"""table.csv: write every figure in long form; read the ensemble's weights back."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.evaluate.model import AUTHORS, STAND_INS, TRAINED, Kind, Model
from emotiw.evaluate.released.catalog import released

from .published import Publication
from .results import Results
from .rows import BASELINE, lines


def csv_text(results: Results, known: Sequence[Publication]) -> str:
    """Return the same in long form, one line a figure; where released models stand beside runs, with whose it is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ["accuracy", "low", "high", "mean_class_accuracy", "weight", "published"]
    whose = ["kind"] if results.released else []
    writer.writerow(["name", "net", "representation", "engine", "split", "crops", "n", *figures, *whose])
    nets = {cell.name for column in results.columns for cell in column.cells}
    protocol = results.protocol
    for line in lines(results, known):
        values = [line.scores.accuracy, *line.interval, line.scores.mean_class_accuracy, line.weight, line.published]
        cells = ["" if figure is None else f"{figure:.6f}" for figure in values]
        writer.writerow(
            [
                line.name,
                *(line.place if line.name in nets else ("", "")),
                line.engine,
                protocol.split,
                "" if line.name == BASELINE else protocol.crops,
                len(line.scores.labels),
                *cells,
                *([line.kind.title] if results.released else []),
            ]
        )
    return text.getvalue()


def kind_of(model: Model) -> Kind:
    """Return whose weights a model has."""
    if model.name not in released():
        return TRAINED
    return STAND_INS if model.stand_in else AUTHORS


def ensemble_weights(models: Sequence[Model], table: Path) -> NDArray[np.float64]:
    """Return the (M,) weights of models as `emotiw table` found them by likelihood, scaled to sum to 1.

    Parameters
    ----------
    table
        A table.csv: a run's line has its row's name, a released model's its own.

    Raises
    ------
    EmotiwError
        Where it is no such table, lacks a model, found its weight in an ensemble of another kind of nets (trained here,
        the authors', stand-ins), or gives none of them any.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        weighted = {row["name"]: row for row in rows or [{}] if row["weight"]}
        found = {name: float(row["weight"]) for name, row in weighted.items()}
    except (KeyError, ValueError, TypeError, csv.Error):
        raise EmotiwError(f"{table} is no table of emotiw table: give its table.csv") from None
    names = [model.name.split("/")[0] for model in models]
    if missing := [name for name in names if name not in found]:
        raise EmotiwError(f"{table} has no weight of {missing[0]}: it has those of {', '.join(found) or 'none'}")
    for name, model in zip(names, models, strict=True):
        kind, found_on = kind_of(model).title, weighted[name].get("kind") or TRAINED.title
        if kind != found_on or kind != kind_of(models[0]).title:
            raise EmotiwError(
                f"{table} has the weights of an ensemble of {found_on}, and {model.title} is {kind}: weights of one "
                "ensemble are for its own nets"
            )
    weights = np.array([found[name] for name in names])
    if not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise EmotiwError(f"{table} gives {', '.join(names)} no weight: name others of {', '.join(found)}")
    return np.asarray(weights / weights.sum(), np.float64)
