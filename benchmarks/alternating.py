"""Time two ways to do the same work in turns on the same cores, with pyperf's clock and statistics."""

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
    """Seconds of the same work, for each turn of ours and of the peer.

    Attributes
    ----------
    floors
        Lower bounds: the seconds of parts that no program can avoid, by name, on the same cores in the same run.
    note
        A remark on ours.
    """

    ours: Sequence[float]
    theirs: Sequence[float]
    floors: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Return the peer's time divided by ours, for each pair of adjacent turns."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    work, peer
        The work, and the other program that does it.
    measure
        Runs both, in its own folder; raises if their results differ.
    least
        The target: at least this multiple of the peer's speed.
    most
        Alternatively, the target is at most this multiple of the peer's time.
    """

    work: str
    peer: str
    measure: Callable[[Path], Turns]
    least: float = 0
    most: float = 0

    @property
    def target(self) -> str:
        """Return the target of the ratio as text."""
        return f"at most {self.most:g}" if self.most else f"at least {self.least:g}"

    def ratio(self, turns: Turns) -> tuple[float, float, float]:
        """Return median, minimum and maximum of the ratio: of the speeds, or with `most` of the times."""
        ratios = [1 / ratio for ratio in turns.ratios] if self.most else turns.ratios
        return median(ratios), min(ratios), max(ratios)

    def met(self, turns: Turns) -> bool:
        """Return whether the median ratio meets the target."""
        found = self.ratio(turns)[0]
        return found <= self.most if self.most else found >= self.least


def in_turns(
    ours: Callable[[], T], theirs: Callable[[], T], turns: int = TURNS, clear: Work = lambda: None
) -> tuple[list[T], list[T]]:
    """Run both in turns, and return their results; the first of each is dropped; the order alternates.

    Parameters
    ----------
    clear
        Called before each run.
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
        Repetitions of the work in a turn; the seconds are for one repetition.
    clear
        Called before each run, untimed.
    """
    return Turns(*in_turns(partial(timed, ours, loops), partial(timed, theirs, loops), turns, clear))


def timed(work: Work, loops: int = 1) -> float:
    """Return the average wall seconds of one repetition of `work`, from `loops` repetitions."""
    begun = pyperf.perf_counter()
    for _ in range(loops):
        work()
    return (pyperf.perf_counter() - begun) / loops


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Limit this process and its children to so many cores, and BLAS and OpenMP in the children to so many threads.

    Threads that already run, such as those of this process's BLAS, are not moved.
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
    """Return pyperf's metadata of this machine: its processor, its Python, the date."""
    return dict(pyperf.Run([1.0], collect_metadata=True).get_metadata())
