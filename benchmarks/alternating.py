"""Two ways to do the same work, timed in turns on the same cores; the clock and the statistics are pyperf's."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import pyperf

TURNS = 5
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
T = TypeVar("T")
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


def in_turns(
    ours: Callable[[], T], theirs: Callable[[], T], turns: int = TURNS, clear: Work = lambda: None
) -> tuple[list[T], list[T]]:
    """Do both in turns, and return what each returned; the first of each does not count; who begins a turn changes.

    Parameters
    ----------
    clear
        Called before each.
    """
    found: tuple[list[T], list[T]] = [], []
    for turn in range(turns + 1):
        for who in (0, 1) if turn % 2 else (1, 0):
            clear()
            found[who].append((ours, theirs)[who]())
    return found[0][1:], found[1][1:]


def alternate(ours: Work, theirs: Work, turns: int = TURNS, loops: int = 1, clear: Work = lambda: None) -> Turns:
    """Time both in turns; see `in_turns`.

    Parameters
    ----------
    loops
        How often each does its work in a turn; the seconds are of one.
    clear
        Called before each, untimed.
    """
    return Turns(*in_turns(partial(timed, ours, loops), partial(timed, theirs, loops), turns, clear))


def timed(work: Work, loops: int = 1) -> float:
    """Return how many seconds a piece of work takes."""
    begun = pyperf.perf_counter()
    for _ in range(loops):
        work()
    return (pyperf.perf_counter() - begun) / loops


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process, and those that it starts, to so many cores, and BLAS and OpenMP in those to so many threads.

    A thread that runs already, such as one of this process's own BLAS, stays where it is.
    """
    cores, variables = os.sched_getaffinity(0), dict(os.environ)
    os.sched_setaffinity(0, sorted(cores)[:count])
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        for name in THREADS:
            os.environ.pop(name)
            if name in variables:
                os.environ[name] = variables[name]


def machine() -> dict[str, Any]:
    """Return pyperf's own words of this machine and day."""
    return dict(pyperf.Run([1.0], collect_metadata=True).get_metadata())
