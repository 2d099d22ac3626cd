"""The experiments as a table: one row = one net on one representation, both stages."""

import csv
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

from emotiw.engine.torch.solver.lr_policies import Policy
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import sha256_of
from emotiw.lbp_mapping.representation import parse
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, format_text
from emotiw.prototxt.message_diff import changes
from emotiw.prototxt.solvers import check_solver, merged, one_line, parse_settings
from emotiw.prototxt.surgery import committed, nets
from emotiw.prototxt.zoo.nets import NETS

from .own_net import OwnNet
from .presets import PAPER
from .run_folder import STAGES


@dataclass(frozen=True)
class Experiment:
    """One row of `experiments.csv`, which also says of each stage's settings how well they are known.

    Attributes
    ----------
    net, representation
        By name.
    settings
        For each stage, what this row adds to its net's committed solver, as prototxt, such as ``base_lr: 0.003``.
    standing
        The deviations (docs/deviations.md) that its nets and solvers rest on: what the paper does not say. Empty for a
        row of one's own.
    name
        What its run is called; empty: `<net>-<representation>`.
    epochs, seed
        What it asks for itself; None: its solver's `max_iter`, and 1.
    own
        The net, where it is one of the user's own.
    """

    net: str
    representation: str
    settings: Mapping[str, str] = field(default_factory=dict)
    standing: tuple[str, ...] = ()
    name: str = ""
    epochs: float | None = None
    seed: int | None = None
    own: OwnNet | None = None

    @property
    def row(self) -> str:
        """The row's name."""
        return self.name or f"{self.net}-{self.representation}"

    def solver(self, stage: str) -> SolverParameter:
        """Return the SolverParameter of a stage, a copy that may be changed."""
        base = self.own.solver if self.own else _committed_solver(self.net, stage)
        return merged(base, self._settings(stage))

    def _settings(self, stage: str) -> SolverParameter:
        return parse_settings(self.settings.get(stage, ""), f"{self.row}, {stage}")

    def train_val(self, stage: str) -> NetParameter:
        """Return the NetParameter of a stage's train_val, a copy that may be changed."""
        return deepcopy(self.own.train_val if self.own else _committed_train_val(self.net, stage))

    def recipe(self, stage: str) -> str:
        """Return a sha256 in hexadecimal of all that a stage of this row is: its net and its solver."""
        text = format_text(self.train_val(stage)) + format_text(self.solver(stage))
        return sha256_of(text.encode())

    def over(self, stages: Iterable[str], text: str, where: str) -> "Experiment":
        """Return this row with settings over its own.

        Raises
        ------
        UsageError
            If the text is no solver's, or sets what a run fills in.
        """
        given = parse_settings(text, where)
        settings = {stage: one_line(merged(self._settings(stage), given)) for stage in stages}
        return replace(self, settings={**self.settings, **settings})

    def changed(self, stage: str) -> list[str]:
        """Return in what its solver is not the one that is shipped for net and representation, in words.

        Of a net of one's own these are the settings over its own solver file.
        """
        usual = self.own.solver if self.own else shipped(self.net, self.representation).solver(stage)
        return changes(usual, self.solver(stage), ignored=("max_iter",) if self.epochs else ())

    def check(self) -> None:
        """Raise `UsageError` where a stage's solver is one that no engine would carry out."""
        for stage in STAGES:
            solver = self.solver(stage)
            if self.epochs:
                solver.max_iter = 1  # as many as a set has images for
            require_solver(solver, f"{self.row}, {stage}")


def require_solver(solver: SolverParameter, where: str) -> None:
    """Raise `UsageError` where a solver is one that no engine would carry out."""
    check_solver(solver, where)
    try:
        Policy(solver)
    except EmotiwError as error:
        raise UsageError(f"{where}: {error}") from None


@cache  # parsed once a process
def _committed_solver(net: str, stage: str) -> SolverParameter:
    solver: SolverParameter = committed(net, f"solver_{stage}.prototxt")
    return solver


@cache
def _committed_train_val(net: str, stage: str) -> NetParameter:
    train_val: NetParameter = committed(net, f"train_val_{stage}.prototxt")
    return train_val


def shipped_table() -> str:
    """Return the table of all shipped rows, as CSV."""
    return resources.files(__package__).joinpath("experiments.csv").read_text(encoding="utf-8")


@cache
def experiments() -> dict[str, Experiment]:
    """Return all rows by name, in the table's order."""
    return {
        row["row"]: Experiment(
            row["net"],
            row["representation"],
            {stage: row[stage] for stage in STAGES},
            tuple(row["standing"].split()),
        )
        for row in csv.DictReader(shipped_table().splitlines())
    }


def preset_rows(preset: str = PAPER) -> list[Experiment]:
    """Return the rows of a preset: a key of `presets.PRESETS`."""
    return [row for row in experiments().values() if NETS[row.net].preset == preset]


def shipped(net: str, representation: str) -> Experiment:
    """Return the row of a shipped net; of a representation that the table does not list, with its other rows' settings.

    Those are the settings of the net's first row.
    """
    row = experiments().get(f"{net}-{representation}")
    return row or Experiment(net, representation, like(net).settings)


def like(net: str) -> Experiment:
    """Return the row of a shipped net whose settings a representation takes that the table does not list."""
    return next(row for row in experiments().values() if row.net == net)


def listed(row: Experiment) -> bool:
    """Return whether the shipped table lists the net and the representation of a row."""
    return f"{row.net}-{row.representation}" in experiments()


def experiment(row: str, own: OwnNet | None = None) -> Experiment:
    """Return the row of that name, or one of the user's own: `<net>-<representation>` with any representation.

    Parameters
    ----------
    own
        The net of that row, which may not have a shipped one's name.

    Raises
    ------
    UsageError
        If `row` names no net or no representation.
    """
    net, _, spelled = row.partition("-")
    if not spelled:
        raise UsageError(f"{row!r} is no row: give <net>-<representation>, such as {', '.join(experiments())}")
    try:
        representation = parse(spelled).name
    except ValueError as error:
        raise UsageError(f"{row!r}: {error}") from None
    if own:
        if net in nets() or not re.fullmatch(r"[A-Za-z0-9]\w*", net):
            reason = "the name of a shipped net" if net in nets() else "no name"
            raise UsageError(
                f"{row!r}: {net!r} is {reason}: call a net of your own otherwise, such as my_net-{spelled}"
            )
        return Experiment(net, representation, own=own)
    committed(net, "deploy.prototxt")
    return shipped(net, representation)
