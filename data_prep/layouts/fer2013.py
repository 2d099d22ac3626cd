"""Layout `fer2013`: `fer2013.csv` with the columns emotion, pixels and Usage, 48 x 48 grey."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Image, Listing
from emotiw.data_prep.images import UnreadableImageError
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp

# Not the authors' order: Neutral comes last.
CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
_SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_COLUMNS = {"emotion", "pixels", "Usage"}


def is_fer2013(found: Found) -> bool:
    """Return whether the only CSV at the top has FER2013's columns."""
    return set(_columns(found.head(found.only(".csv", top=True)))) == _COLUMNS


def list_fer2013(found: Found, labels: str) -> Listing:
    """List the rows of the table, `<row>.pgm` each."""
    name = found.only(".csv", top=True)
    if name is None:
        raise EmotiwError(f"{found.place} does not hold one file named *.csv: give that file itself")
    source = Pixels(found.root(name) / name)
    return Listing(list(source.images()), source)


@dataclass(frozen=True)
class Pixels:
    """The table as a source of images."""

    table: Path

    def images(self) -> Iterator[Image]:
        """Yield an image a row."""
        with self.table.open("rb") as file:
            columns = _columns(file.readline().decode(errors="replace"))
            for number, line in enumerate(file):
                row = _row(columns, line)
                emotion, usage = row.get("emotion", ""), row.get("Usage", "")
                if emotion not in map(str, range(len(CLASSES))) or usage not in _SPLITS:
                    raise EmotiwError(
                        f"{self.table}, row {number}: emotion {emotion[:20]!r} and Usage {usage[:20]!r} are not "
                        "FER2013's 0 to 6 and Training, PublicTest or PrivateTest"
                    )
                yield Image(_path(number), CLASSES[int(emotion)], split=_SPLITS[usage])

    def read(self, path: str) -> bytes:
        """Return a row's pixels as a PGM file."""
        offsets = _offsets(self.table, self.stamp(path))
        with self.table.open("rb") as file:
            columns = _columns(file.readline().decode(errors="replace"))
            file.seek(int(offsets[int(path.split(".")[0])]))
            row = _row(columns, file.readline())
        try:
            pixels = np.array(row["pixels"].split(), np.int64)
        except ValueError:
            raise UnreadableImageError("its pixels are no numbers") from None
        side = isqrt(len(pixels))
        if side**2 != len(pixels) or not side or pixels.min() < 0 or pixels.max() > 255:
            raise UnreadableImageError("its pixels are no square of numbers from 0 to 255")
        return b"P5 %d %d 255\n" % (side, side) + pixels.astype(np.uint8).tobytes()

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the table's size and time."""
        return file_stamp(self.table)


@lru_cache(maxsize=1)
def _offsets(table: Path, stamp: tuple[int, int]) -> NDArray[np.int64]:
    """Return where each row begins, in bytes; read once a process."""
    with table.open("rb") as file:
        lengths = np.fromiter((len(line) for line in file), np.int64)
    return np.cumsum(lengths)


def _path(number: int) -> str:
    return f"{number:05d}.pgm"


def _columns(line: str) -> list[str]:
    return [name.strip() for name in line.split(",")]


def _row(columns: list[str], line: bytes) -> dict[str, str]:
    fields = line.decode(errors="replace").split(",")  # fewer or more than columns in a damaged row
    return {name: field.strip().strip('"') for name, field in zip(columns, fields, strict=False)}
