"""The table of experiments: a row is one net on one representation, with both stages."""

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
    """One row of `experiments.csv`, which also gives the standing of each stage's settings.

    Attributes
    ----------
    net, representation
        By name.
    settings
        For each stage, this row's changes of its net's committed solver, as prototxt, such as ``base_lr: 0.003``.
    standing
        The deviations (docs/deviations.md) on which its nets and solvers depend: what no source of ours says. Empty for
        a user's own row.
    name
        The name of its run; empty: `<net>-<representation>`.
    epochs, seed
        Its own epochs and seed; None: its solver's `max_iter`, and 1.
    own
        The net, if it is the user's own.
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
        """Return a copy of a stage's SolverParameter."""
        base = self.own.solver if self.own else _committed_solver(self.net, stage)
        return merged(base, self._settings(stage))

    def _settings(self, stage: str) -> SolverParameter:
        return parse_settings(self.settings.get(stage, ""), f"{self.row}, {stage}")

    def train_val(self, stage: str) -> NetParameter:
        """Return a copy of the NetParameter of a stage's train_val."""
        return deepcopy(self.own.train_val if self.own else _committed_train_val(self.net, stage))

    def recipe(self, stage: str) -> str:
        """Return a sha256, in hexadecimal, of a stage's net and solver."""
        text = format_text(self.train_val(stage)) + format_text(self.solver(stage))
        return sha256_of(text.encode())

    def over(self, stages: Iterable[str], text: str, where: str) -> "Experiment":
        """Return this row with settings merged over its own.

        Raises
        ------
        UsageError
            If the text is not a solver's, or sets what a run fills in.
        """
        given = parse_settings(text, where)
        settings = {stage: one_line(merged(self._settings(stage), given)) for stage in stages}
        return replace(self, settings={**self.settings, **settings})

    def changed(self, stage: str) -> list[str]:
        """Return how its solver differs from the shipped one for this net and representation, as text.

        For a user's own net these are the settings merged over its solver file.
        """
        usual = self.own.solver if self.own else shipped(self.net, self.representation).solver(stage)
        return changes(usual, self.solver(stage), ignored=("max_iter",) if self.epochs else ())

    def check(self) -> None:
        """Raise `UsageError` if no engine would accept a stage's solver."""
        for stage in STAGES:
            solver = self.solver(stage)
            if self.epochs:
                solver.max_iter = 1  # a placeholder: the real number depends on the set
            require_solver(solver, f"{self.row}, {stage}")


def require_solver(solver: SolverParameter, where: str) -> None:
    """Raise `UsageError` if no engine would accept a solver."""
    check_solver(solver, where)
    try:
        Policy(solver)
    except EmotiwError as error:
        raise UsageError(f"{where}: {error}") from None


@cache  # parsed once per process
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
    """Return the row of a shipped net and any representation.

    If the table does not list the representation, the row has the settings of the net's first row.
    """
    row = experiments().get(f"{net}-{representation}")
    return row or Experiment(net, representation, like(net).settings)


def like(net: str) -> Experiment:
    """Return the row of a shipped net with the settings for representations that the table does not list."""
    return next(row for row in experiments().values() if row.net == net)


def listed(row: Experiment) -> bool:
    """Return whether the shipped table lists the net and the representation of a row."""
    return f"{row.net}-{row.representation}" in experiments()


def unlisted(row: Experiment) -> str:
    """Return where a row's settings come from if the shipped table does not list its representation; else empty."""
    if row.own or listed(row):
        return ""
    return f"{row.representation} is in no shipped row: the settings are those of {like(row.net).row}"


def experiment(row: str, own: OwnNet | None = None) -> Experiment:
    """Return the row of a name, shipped or the user's own: `<net>-<representation>` with any representation.

    Parameters
    ----------
    own
        The net of a user's own row, which must not have the name of a shipped net.

    Raises
    ------
    UsageError
        If `row` names no net or no representation.
    """
    net, _, spelled = row.partition("-")
    if not spelled:
        raise UsageError(f"{row!r} is not a row: give <net>-<representation>, such as {', '.join(experiments())}")
    try:
        representation = parse(spelled).name
    except ValueError as error:
        raise UsageError(f"{row!r}: {error}") from None
    if own:
        if net in nets() or not re.fullmatch(r"[A-Za-z0-9]\w*", net):
            reason = "the name of a shipped net" if net in nets() else "no name"
            raise UsageError(f"{row!r}: {net!r} is {reason}: name your own net differently, such as my_net-{spelled}")
        return Experiment(net, representation, own=own)
    committed(net, "deploy.prototxt")
    return shipped(net, representation)
