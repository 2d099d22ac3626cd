"""Two ways to do the same work, timed in turns on the same cores; the clock and the statistics are pyperf's."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pyperf

TURNS = 5
Work = Callable[[], object]


@dataclass(frozen=True)
class Turns:
    """Seconds of the same work, one for each turn of ours and of the peer.

    Attributes
    ----------
    floors
        By what it is, how many seconds a part takes that nobody can do without, on the same cores in the same run.
    note
        What else was seen in ours.
    """

    ours: Sequence[float]
    theirs: Sequence[float]
    floors: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Return the peer's time by ours, of turns that follow each other."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    work, peer
        What is done, and what else does it.
    measure
        Does both, in a folder of its own; raises where they do not come to the same.
    least
        How many times the peer's speed it is to have.
    most
        How many times the peer's time it may take, where that is the question instead.
    """

    work: str
    peer: str
    measure: Callable[[Path], Turns]
    least: float = 0
    most: float = 0

    @property
    def target(self) -> str:
        """Return what the ratio is to be, in words."""
        return f"at most {self.most:g}" if self.most else f"at least {self.least:g}"

    def ratio(self, turns: Turns) -> tuple[float, float, float]:
        """Return the median, the least and the largest of what the target is about."""
        ratios = [1 / ratio for ratio in turns.ratios] if self.most else turns.ratios
        return median(ratios), min(ratios), max(ratios)

    def met(self, turns: Turns) -> bool:
        """Return whether the target is met."""
        found = self.ratio(turns)[0]
        return found <= self.most if self.most else found >= self.least


def alternate(ours: Work, theirs: Work, turns: int = TURNS, loops: int = 1, clear: Work = lambda: None) -> Turns:
    """Time both in turns, after one of each that does not count; who begins a turn changes.

    Parameters
    ----------
    loops
        How often each does its work in a turn; the seconds are of one.
    clear
        Called before each, untimed.
    """
    seconds: dict[Work, list[float]] = {ours: [], theirs: []}
    for turn in range(turns + 1):
        for work in (ours, theirs) if turn % 2 else (theirs, ours):
            clear()
            seconds[work].append(timed(work, loops))
    return Turns(seconds[ours][1:], seconds[theirs][1:])


def timed(work: Work, loops: int = 1) -> float:
    """Return how many seconds a piece of work takes."""
    begun = pyperf.perf_counter()
    for _ in range(loops):
        work()
    return (pyperf.perf_counter() - begun) / loops


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process, and those that it starts, to so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def machine() -> dict[str, Any]:
    """Return pyperf's own words of this machine and day."""
    return dict(pyperf.Run([1.0], collect_metadata=True).get_metadata())
