"""Progress bars: lively in a terminal, a line now and then in a log."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def bar(
    items: Iterable[Item], title: str, total: int, unit: str, initial: int = 0, *, leave: bool = True
) -> "tqdm[Item]":
    """Return a progress bar on standard error, with the time left; iterate over it, or `update` it.

    Parameters
    ----------
    items : iterable
        What it hands on, unless the caller calls its `update` instead.
    title, unit : str
        What is done, to what: ``"prepare"``, ``"image"``.
    total, initial : int
        How many there are, and how many of them were done before.
    leave : bool
        Whether it stays when it is full.
    """
    often = 0.5 if sys.stderr.isatty() else 30  # seconds; a log is not to be flooded
    return tqdm(
        items, title, total, initial=initial, unit=unit, leave=leave, mininterval=often, maxinterval=max(often, 10)
    )
