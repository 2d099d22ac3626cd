"""Layout `fer2013`: `fer2013.csv` with the columns emotion, pixels and Usage, 48 x 48 grey.

A copy without the column Usage has no split of its own. The numbers of the column emotion are in FER2013's own order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Image, Interpretation, Listing
from emotiw.data_prep.images import UnreadableImageError
from emotiw.data_prep.label_order import ORDERS
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp

ORDER = ORDERS["fer2013"]
USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
"""The split that each word of the column Usage means."""
FILE_NAME = re.compile(rf"({'|'.join(USAGE)})_\d+\.\w+")
"""The names of FER2013's pictures as files, which begin with the word of the column Usage."""

_COLUMNS = {"emotion", "pixels"}
_EMOTIONS = {str(number): ORDER.class_of(number) for number in ORDER.numbers}
_BLANK = b' \t\r\n,;"'


def is_fer2013(found: Found) -> bool:
    """Return whether the only CSV at the top has FER2013's columns."""
    return is_table(found, found.only(".csv", top=True))


def is_table(found: Found, name: str | None) -> bool:
    """Return whether a file has FER2013's columns, with or without Usage."""
    return set(_columns(found.head(name))) - {"Usage"} == _COLUMNS


def list_fer2013(found: Found, how: Interpretation) -> Listing:
    """List the rows of the table as images `<row>.pgm`."""
    name = found.only(".csv", top=True)
    if name is None:
        raise EmotiwError(f"{found.place} does not hold one file named *.csv: give that file itself")
    source = Pixels(found.root(name) / name)
    notes = () if source.has_usage() else (f"{found.where(name)} has no column Usage: all its images train",)
    return Listing(list(source.images()), source, notes=notes)


@dataclass(frozen=True)
class Pixels:
    """The table as a source of images."""

    table: Path

    def has_usage(self) -> bool:
        """Return whether the table gives the split of each image."""
        with self.table.open("rb") as file:
            return "Usage" in _columns(_text(file.readline()))

    def images(self) -> Iterator[Image]:
        """Yield an image for each row.

        Raises
        ------
        EmotiwError
            If a row has another emotion or Usage than FER2013's.
        """
        with self.table.open("rb") as file:
            columns = _columns(_text(file.readline()))
            for number, line in enumerate(file):
                if not line.strip(_BLANK):
                    continue
                row = _row(columns, line)
                emotion, usage = row.get("emotion", ""), row.get("Usage", "") if "Usage" in columns else None
                if emotion not in _EMOTIONS or not (usage is None or usage in USAGE):
                    raise EmotiwError(f"{self.table}, row {number}: {_row_problem(emotion, usage)}")
                yield Image(
                    _path(number), _EMOTIONS[emotion], split=USAGE[usage] if usage else "", official=usage or ""
                )

    def read(self, path: str) -> bytes:
        """Return a row's pixels as a PGM file."""
        offsets = _offsets(self.table, self.stamp(path))
        with self.table.open("rb") as file:
            columns = _columns(_text(file.readline()))
            file.seek(int(offsets[int(path.split(".")[0])]))
            row = _row(columns, file.readline())
        try:
            pixels = np.array(row.get("pixels", "").split(), np.int64)
        except (ValueError, OverflowError):
            raise UnreadableImageError("its pixels are not numbers") from None
        side = isqrt(len(pixels))
        if side**2 != len(pixels) or not side or pixels.min() < 0 or pixels.max() > 255:
            raise UnreadableImageError("its pixels are not a square of numbers from 0 to 255")
        return b"P5 %d %d 255\n" % (side, side) + pixels.astype(np.uint8).tobytes()

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the table's size and time."""
        return file_stamp(self.table)


@lru_cache(maxsize=1)
def _offsets(table: Path, stamp: tuple[int, int]) -> NDArray[np.int64]:
    """Return the offset of each row in bytes; cached."""
    with table.open("rb") as file:
        lengths = np.fromiter((len(line) for line in file), np.int64)
    return np.cumsum(lengths)


def _path(number: int) -> str:
    return f"{number:05d}.pgm"


def _row_problem(emotion: str, usage: str | None) -> str:
    """Return what is wrong with a row."""
    if usage is None:
        return f"emotion {emotion[:20]!r} is not one of FER2013's 0 to 6"
    return (
        f"emotion {emotion[:20]!r} and Usage {usage[:20]!r} are not FER2013's 0 to 6 and Training, PublicTest or "
        "PrivateTest"
    )


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", errors="replace")


def _columns(line: str) -> list[str]:
    return [name.strip().strip('"') for name in line.split(",")]


def _row(columns: list[str], line: bytes) -> dict[str, str]:
    fields = line.decode(errors="replace").split(",")  # a damaged row has fewer or more fields than columns
    return {name: field.strip().strip('"') for name, field in zip(columns, fields, strict=False)}
