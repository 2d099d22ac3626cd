"""The experiments as a table: one row = one net on one representation, both stages."""

import csv
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import resources

from emotiw.errors import UsageError
from emotiw.files import sha256_of
from emotiw.lbp_mapping.representation import parse
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, format_text, parse_text
from emotiw.prototxt.surgery import committed


@dataclass(frozen=True)
class Experiment:
    """One row of `experiments.csv`, which also says of each stage's settings how well they are known.

    Attributes
    ----------
    net, representation
        By name; the row is called `<net>-<representation>`.
    settings
        For each stage, what this row adds to its net's committed solver, as prototxt, such as ``base_lr: 0.003``.
    standing
        The deviations (docs/deviations.md) that its nets and solvers rest on: what the paper does not say. Empty for a
        row of one's own.
    """

    net: str
    representation: str
    settings: dict[str, str]
    standing: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """The row's name."""
        return f"{self.net}-{self.representation}"

    def solver(self, stage: str) -> SolverParameter:
        """Return the SolverParameter of a stage, a copy that may be changed."""
        solver = deepcopy(_committed_solver(self.net, stage))
        solver.MergeFrom(parse_text(self.settings[stage], SolverParameter, f"experiments.csv, {self.row}, {stage}"))
        return solver

    def train_val(self, stage: str) -> NetParameter:
        """Return the NetParameter of a stage's train_val, a copy that may be changed."""
        return deepcopy(_committed_train_val(self.net, stage))

    def recipe(self, stage: str) -> str:
        """Return a sha256 in hexadecimal of all that a stage of this row is: its net and its solver."""
        text = format_text(self.train_val(stage)) + format_text(self.solver(stage))
        return sha256_of(text.encode())


@cache  # parsed once a process
def _committed_solver(net: str, stage: str) -> SolverParameter:
    solver: SolverParameter = committed(net, f"solver_{stage}.prototxt")
    return solver


@cache
def _committed_train_val(net: str, stage: str) -> NetParameter:
    train_val: NetParameter = committed(net, f"train_val_{stage}.prototxt")
    return train_val


@cache
def experiments() -> dict[str, Experiment]:
    """Return all rows by name, in the table's order."""
    table = resources.files(__package__).joinpath("experiments.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(table.splitlines())
    return {
        row["row"]: Experiment(
            row["net"],
            row["representation"],
            {stage: row[stage] for stage in ("pretrain", "finetune")},
            tuple(row["standing"].split()),
        )
        for row in rows
    }


def paper_rows(*, small: bool = False) -> list[Experiment]:
    """Return the paper's 20 rows, or the same with the small nets."""
    return [row for row in experiments().values() if row.net.endswith("_small") == small]


def experiment(row: str) -> Experiment:
    """Return the row of that name, or one of the user's own: `<net>-<representation>` with any representation.

    Raises
    ------
    UsageError
        Where `row` names no net or no representation.
    """
    net, _, spelled = row.partition("-")
    if not spelled:
        raise UsageError(f"{row!r} is no row: give <net>-<representation>, such as {', '.join(experiments())}")
    try:
        representation = parse(spelled).name
    except ValueError as error:
        raise UsageError(f"{row!r}: {error}") from None
    committed(net, "deploy.prototxt")
    own = Experiment(net, representation, {"pretrain": "", "finetune": ""})
    return experiments().get(own.row, own)
