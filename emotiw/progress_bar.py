"""Progress bars: updated often in a terminal, seldom in a log."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


_SHORT = 5.0  # seconds


def bar(
    items: Iterable[Item], title: str, total: int | None, unit: str, initial: int = 0, *, short: bool = False
) -> "tqdm[Item]":
    """Return a progress bar on standard error, with the time left; iterate over it, or `update` it.

    Parameters
    ----------
    items : iterable
        The items to iterate over, unless the caller calls `update`.
    title, unit : str
        The action and the unit: ``"prepare"``, ``"image"``.
    total, initial : int
        The number of items, None if it is not known, and how many of them were done before.
    short : bool
        Whether the work usually takes less than five seconds: the bar appears only if it takes longer, and then
        disappears.
    """
    often = 0.5 if sys.stderr.isatty() else 30  # seconds between updates; logs get few
    return tqdm(
        items,
        title,
        total,
        initial=initial,
        unit=unit,
        leave=not short,
        delay=_SHORT if short else 0,
        mininterval=often,
        maxinterval=max(often, 10),
    )
