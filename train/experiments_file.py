"""A user's table of experiments, with the columns of `experiments.csv`."""

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path

from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.solvers import refuse_twice
from emotiw.prototxt.surgery import nets

from .experiments import Experiment, experiment, experiments
from .run_folder import STAGES

OPTIONAL = ("name", "epochs", "seed")
"""Columns that the shipped table lacks: the name of a run, and values that replace those of its solver."""

_NEEDED = ("net", "representation")
_KNOWN = (*_NEEDED, *STAGES, *(f"{stage}_standing" for stage in STAGES), "row", "standing", *OPTIONAL)
_NAME = re.compile(r"[A-Za-z0-9][\w.,=+-]*", re.ASCII)
_MOST_LISTED = 5
_FIELDS = {"epochs": "max_iter", "seed": "random_seed"}
"""The solver's fields that a column replaces."""


def read_experiments(path: Path) -> dict[str, Experiment]:
    """Return the rows of an experiments file by name, in its order; the whole file is checked.

    A row's settings are merged over its net's committed solver, as in the shipped table; a row without settings has
    those of the shipped row.

    Raises
    ------
    EmotiwError
        If the file cannot be read.
    UsageError
        If it lacks a column or has an unknown one, or if rows are wrong; the message lists all of these, by line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lines = [(reader.line_num, row) for row in reader]
            columns = list(reader.fieldnames or [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise EmotiwError(
            f"{path} is not a table of experiments: {error}: start from the output of emotiw experiments"
        ) from None
    _check_columns(path, columns)
    rows: dict[str, Experiment] = {}
    wrong, places = [], dict[str, int]()
    for number, cells in lines:
        try:
            row = _row(cells)
            if row.row in rows:
                raise UsageError(f"{row.row} is also the name of line {places[row.row]}: give each a `name`")
        except EmotiwError as error:
            wrong.append(f"line {number}: {error}")
        else:
            rows[row.row], places[row.row] = row, number
    if not lines:
        wrong = ["it has no row"]
    if wrong:
        more = f"; and {len(wrong) - _MOST_LISTED} more" if len(wrong) > _MOST_LISTED else ""
        raise UsageError(f"{path}: {'; '.join(wrong[:_MOST_LISTED])}{more}")
    return rows


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in columns]
    strange = [name for name in columns if name not in _KNOWN]
    twice = [name for name in columns if columns.count(name) > 1]
    if missing or strange or twice:
        parts = (("has no column", missing), ("has the unknown column", strange), ("has twice the column", twice))
        said = "; ".join(f"{words} {', '.join(dict.fromkeys(names))}" for words, names in parts if names)
        raise UsageError(f"{path} {said}: the columns are {', '.join(_KNOWN)}")


def _row(cells: Mapping[str | None, str | list[str] | None]) -> Experiment:
    """Return the experiment of a line."""
    if None in cells or None in cells.values():
        raise UsageError("it has more or fewer cells than the head: put settings with a comma in quotes")
    given = {str(name): str(value).strip() for name, value in cells.items()}
    own = experiment(f"{given['net']}-{given['representation']}")
    usual = f"{own.net}-{own.representation}"
    if given.get("row") and given["row"] != usual:
        raise UsageError(f"its `row` is {given['row']} and its net and representation are {usual}: name it by `name`")
    row = replace(
        own,
        settings=_settings(own, given),
        standing=tuple(given.get("standing", "").split()),
        name=_name(given.get("name", ""), usual),
        epochs=_number(given, "epochs"),
        seed=None if (seed := _number(given, "seed")) is None else int(seed),
    )
    row.check()
    return row


def _settings(own: Experiment, given: Mapping[str, str]) -> dict[str, str]:
    """Return each stage's changes of the committed solver: the row's own, or else those of the shipped row."""
    settings = dict(own.settings)
    elsewhere = {field: f"the column {column}" for column, field in _FIELDS.items() if given.get(column)}
    for stage in STAGES:
        if text := given.get(stage):
            refuse_twice(text, f"the column {stage}", elsewhere)
            settings |= Experiment(own.net, own.representation).over([stage], text, f"the column {stage}").settings
    return settings


def _name(name: str, usual: str) -> str:
    if name and not _NAME.fullmatch(name):
        raise UsageError(f"the name {name!r} cannot be a folder's: give letters, digits and . , = + - _")
    if name in nets():
        raise UsageError(f"the name {name} is that of a shipped net with published results: give another")
    if name in experiments() and name != usual:
        raise UsageError(f"the name {name} is that of a shipped row, but this row is {usual}: give another")
    return "" if name == usual else name


def _number(given: Mapping[str, str], column: str) -> float | None:
    text = given.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if column == "seed" and not (value.is_integer() and 0 <= value < 2**31):
        raise UsageError(f"the seed {text} is not a whole number from 0 to 2147483647")
    if column == "epochs" and not (isfinite(value) and value > 0):
        raise UsageError(f"{text} epochs: give a number above 0")
    return value


def named_row(path: Path, name: str) -> Experiment:
    """Return the row of that name in an experiments file; see `read_experiments`."""
    rows = read_experiments(path)
    if name not in rows:
        raise UsageError(f"{path} has no row {name}: name one of {', '.join(rows)}")
    return rows[name]
