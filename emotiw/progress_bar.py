"""Progress bars: updated often in a terminal, seldom in a log."""

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
        The items to iterate over, unless the caller calls `update`.
    title, unit : str
        The action and the unit: ``"prepare"``, ``"image"``.
    total, initial : int
        The number of items, and how many of them were done before.
    leave : bool
        Whether the bar stays when it is full.
    """
    often = 0.5 if sys.stderr.isatty() else 30  # seconds between updates; logs get few
    return tqdm(
        items, title, total, initial=initial, unit=unit, leave=leave, mininterval=often, maxinterval=max(often, 10)
    )
