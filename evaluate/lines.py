"""Every figure as a line: ours, its interval, the published one beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .grid import comparable
from .publications import Publication, cell_of
from .results import Results
from .scores import Scores
from .statistics import interval

BASELINE = "baseline: LBP histograms, SVM"


@dataclass(frozen=True)
class Line:
    """One figure of the table: ours, its interval, and the published one beside it.

    Accuracies and the interval are shares in [0, 1]; `published` is None where nobody has published one.
    """

    name: str
    scores: Scores
    weight: float | None
    published: float | None

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval."""
        return interval(self.scores.predictions == self.scores.labels)

    @property
    def within(self) -> bool | None:
        """Whether the published figure lies in the interval; None where there is none."""
        return None if self.published is None else self.interval[0] <= self.published <= self.interval[1]


def lines(results: Results, known: Sequence[Publication]) -> list[Line]:
    """Return every figure: a line a cell, then the ensembles, then the baseline."""

    def figure(net: str, representation: str) -> float | None:
        publication = cell_of(known, net, representation) if comparable(results) else None
        return publication.on(results.protocol.split) if publication else None

    weights = results.weights.get("likelihood", [None] * len(results.cells))
    found = [
        Line(cell.row, cell.scores, weight, figure(cell.net, cell.representation))
        for cell, weight in zip(results.cells, weights, strict=True)
    ] + [
        Line(f"ensemble of {len(results.cells)}: {average.name}", average.scores, None, figure("ensemble", ""))
        for average in results.averages
    ]
    if results.baseline:
        found.append(Line(BASELINE, results.baseline.scores, None, figure("baseline", "")))
    return found


def percent(share: float) -> str:
    """Return a share in [0, 1] as the table prints it, in percent."""
    return f"{share * 100:.2f}"
