"""Lists of files, and the order of what they list."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch

from emotiw.errors import EmotiwError


def read_list(path: Path) -> str:
    """Return the text of a list of files, without the line breaks at its end; refuse an empty one."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\r\n")
    except OSError as error:
        raise EmotiwError(f"{path}: {error.strerror}") from None
    if not text.strip():
        raise EmotiwError(f"{path} is empty: it is a list of files")
    return text


def order(entries: int, generator: torch.Generator | None, skipped: int = 0) -> Iterator[int]:
    """Yield the numbers below `entries` again and again, after the skipped ones.

    Parameters
    ----------
    generator
        Its initial seed gives every round another order; None: each round is in order.
    """
    for round_number in count(skipped // entries):
        numbers = torch.arange(entries)
        if generator is not None:
            own = torch.Generator().manual_seed((generator.initial_seed() + round_number) % 2**63)
            numbers = torch.randperm(entries, generator=own)
        yield from numbers[skipped % entries :].tolist()
        skipped = 0
