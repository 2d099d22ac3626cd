"""Two claims, tested: a mapped net beats RGB of the same net; the ensemble beats its best member."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .cells import Cell
from .results import Average, Column, Table
from .rows import Net, grid, percent
from .statistics import Paired, holm, paired

LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """A paired comparison of two classifiers on the same images.

    Attributes
    ----------
    net
        The net's title; empty for the ensemble.
    first, second
        The names of the two classifiers.
    paired
        The comparison.
    p
        The p value, corrected for all claims of the table.
    """

    net: str
    first: str
    second: str
    paired: Paired
    p: float = 1.0

    @property
    def title(self) -> str:
        """The printed name of the comparison."""
        return f"{self.net}: {self.first} - {self.second}" if self.net else f"{self.first} - {self.second}"

    @property
    def shown(self) -> int:
        """1 if the first is shown to be better, -1 if the second is, 0 if neither is."""
        return int(np.sign(self.paired.difference)) if self.p < LEVEL else 0

    @property
    def words(self) -> dict[str, str]:
        """The cells of a printed table, by column."""
        found = self.paired
        return {
            "compared": self.title,
            "difference": f"{found.difference * 100:+.2f}",
            "95 % interval": f"{found.interval.low * 100:+.2f} to {found.interval.high * 100:+.2f}",
            "one alone right": f"{found.first_only} / {found.second_only}",
            "p, McNemar": _p(found.mcnemar),
            **({} if found.grouped is None else {"p, groups": _p(found.grouped)}),
            "p, Holm": _p(self.p),
        }


def claims(table: Table) -> list[Claim]:
    """Return the comparisons of a table; nets with random weights have none."""
    found = [claim for column in table.filled if column.provenance.compared for claim in _of(column, table)]
    corrected = holm([claim.paired.p for claim in found])
    return [replace(claim, p=p) for claim, p in zip(found, corrected, strict=True)]


def verdict(net: Net, found: Sequence[Claim]) -> str:
    """Return the conclusion about a net's best representation and RGB; empty if no claim was tested.

    It does not say whether the paper found the same: no source gives the accuracy of its single nets.
    """
    mine = {claim.first: claim for claim in found if claim.net == net.title}
    if not mine:
        return ""
    highest = ", ".join(net.highest)
    if (best := mine.get(net.highest[0])) and best.shown > 0:
        return f"Best representation of {net.title}: {highest} (not RGB; p = {_p(best.p)})."
    if all(claim.shown < 0 for claim in mine.values()):
        worst = max(claim.p for claim in mine.values())
        return f"Best representation of {net.title}: rgb (p = {_p(worst)})."
    figure = f"{highest}, {percent(max(cell.accuracy for cell in net.cells.values()))}"
    smallest = min(claim.p for claim in mine.values())
    return (
        f"Best representation of {net.title}: no difference shown (highest figure: {figure}; smallest p against RGB "
        f"{_p(smallest)})."
    )


def _of(column: Column, table: Table) -> Iterator[Claim]:
    groups = table.groups
    for net in grid(table):
        if net.column is column and "rgb" in net.cells:
            for name, cell in net.cells.items():
                if name != "rgb":
                    pair = paired(_right(cell), _right(net.cells["rgb"]), groups)
                    yield Claim(net.title, name, "rgb", pair)
    if column.contest:
        ensemble, best = column.contest
        mark = "" if table.trained is column else f", {column.provenance.mark}"
        first = f"ensemble of {len(column.cells)}{mark}: {ensemble.name}"
        yield Claim("", first, best.name, paired(_right(ensemble), _right(best), groups))


def _right(judged: Average | Cell) -> NDArray[np.bool_]:
    """Return which images are classified correctly, (N,) bool; with several trainings, by the lowest seed."""
    return np.asarray(judged.scores.predictions == judged.scores.labels)


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"
