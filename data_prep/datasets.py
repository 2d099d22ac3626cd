"""Identify a data set by its layout and counts, or by the user's name for it; mark and detect drawn images.

Published figures are compared only with figures on the same data set, so a wrong guess would make a false comparison:
a source with another number of images is an unknown data set until `emotiw prepare --dataset` names it.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from emotiw.errors import UsageError

from .image_list import split_of
from .jpeg_markers import START
from .layouts.sfew import ALIGNED, FRAMES

_LONGEST = 60  # the name is printed in a table's first line
_HEAD = 33  # bytes of a PNG's signature and its first chunk, IHDR
_SOURCE = b"tEXtSource\0drawn by emotiw"
_COMMENT = b"\xff\xfe\0\x11drawn by emotiw"  # a JPEG's segment: marker, length with these two bytes, text


@dataclass(frozen=True)
class Dataset:
    """A public data set with published figures.

    Attributes
    ----------
    layouts
        The layouts in which its makers or others distribute it.
    counts
        The possible numbers of images of each split.
    """

    name: str
    layouts: tuple[str, ...]
    counts: tuple[Mapping[str, int], ...]


DATASETS = (
    Dataset("SFEW 2.0", ("sfew", "sfew-csv"), ({split: sum(each) for split, each in ALIGNED.items()}, FRAMES)),
    Dataset("FER2013", ("fer2013", "folders"), ({"train": 28_709, "val": 3_589, "test": 3_589},)),
)


def recognised(layout: str, counts: Mapping[str, int]) -> str:
    """Return the name of the data set with this layout and these numbers of images; empty if none is certain.

    Training images may have been left out, such as those of equal pixels. One of the other splits may be missing, but
    the splits that are there must be complete.

    Parameters
    ----------
    counts
        Numbers of images by the source's word for a split; images without a split count as training images.
    """
    there: Counter[str] = Counter()
    for word, count in counts.items():
        there[split_of((word,)) if word else "train"] += count
    judged = {split: there[split] for split in ("val", "test") if there[split]}
    for known in DATASETS:
        for whole in known.counts:
            alike = all(count == whole[split] for split, count in judged.items())
            if layout in known.layouts and judged and alike and 0 < there["train"] <= whole["train"] and not there[""]:
                return known.name
    return ""


def spelled(name: str) -> str:
    """Return a data set's name as its published figures spell it, whatever its case, spaces and punctuation.

    Raises
    ------
    UsageError
        If it is empty, too long for a line, or holds characters that cannot be printed.

    Examples
    --------
    >>> spelled("sfew-2.0"), spelled("Our own faces")
    ('SFEW 2.0', 'Our own faces')
    """
    name = " ".join(name.split())
    if not name or not name.isprintable() or len(name) > _LONGEST:
        raise UsageError(f"--dataset {name[:_LONGEST]!r}: give a name of 1 to {_LONGEST} characters")
    return next((known.name for known in DATASETS if _letters(known.name) == _letters(name)), name)


def mark_as_drawn(file: bytes) -> bytes:
    """Return a PNG or JPEG file with a text chunk or a comment after its header that says that emotiw drew it."""
    if file.startswith(START):
        return START + _COMMENT + file.removeprefix(START)
    chunk = struct.pack(">I", len(_SOURCE) - 4) + _SOURCE + struct.pack(">I", zlib.crc32(_SOURCE))
    return file[:_HEAD] + chunk + file[_HEAD:]


def is_drawn(file: bytes) -> bool:
    """Return whether an image file has the mark of `mark_as_drawn`."""
    return file[_HEAD + 4 :].startswith(_SOURCE) or file.startswith(START + _COMMENT)


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
