"""Layout `recordio`: insightface's `train.rec` and `train.idx`, read without MXNet.

idx is text, `key<TAB>offset`. At the offset: uint32 magic, uint32 (part << 29 | length), then the record, padded to 4
bytes; parts 1, 2 and 3 are the first, middle and last of one record, which was split where it held the magic. A
record: `<IfQQ` flag, label, id, id2; with flag > 0 that many float32 labels; then the image file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Image, Interpretation, Listing
from emotiw.data_prep.images import UnreadableImageError, decode
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp

MAGIC = 0xCED7230A
PART, HEADER = struct.Struct("<II"), struct.Struct("<IfQQ")
WHOLE, FIRST, MIDDLE, LAST = range(4)
LENGTH_BITS = 29
_MOST_OF_A_RECORD, _MOST_LABELS, _MOST_PEOPLE = 1 << 26, 1 << 10, 10**7
_INSIGHTFACE = 112

Index = NDArray[np.int64]
"""(records, 2): key and offset in bytes, by key."""


def is_recordio(found: Found) -> bool:
    """Return whether there is one .rec and one .idx, or SOURCE is the .rec."""
    return found.only(".rec") is not None


def list_recordio(found: Found, how: Interpretation) -> Listing:
    """List the samples as images `<label>/<key>.jpg`; a label is a person."""
    name = found.only(".rec")
    if name is None:
        raise EmotiwError(f"{found.place} does not hold one file named *.rec: give that file itself")
    record = PurePosixPath(name)
    wanted, beside = [name, str(record.with_suffix(".idx"))], str(record.with_name("property"))
    if beside in found.files:
        wanted.append(beside)
    source = Records(found.root(*wanted) / name)
    people = _people(source.records.with_name("property"))
    images = [Image(f"{label:05d}/{key:08d}.jpg", f"{label:05d}") for key, label in source.samples()]
    if people and images and int(max(image.name for image in images)) >= people:
        said = f"has labels beyond the {people} people in its property file: copy both files again"
        raise EmotiwError(f"{source.records} {said}")
    return Listing(sorted(images, key=lambda image: image.path), source, notes=tuple(_notes(source, images)))


@dataclass(frozen=True)
class Records:
    """A RecordIO file with its index as a source of images."""

    records: Path

    def samples(self) -> Iterator[tuple[int, int]]:
        """Yield key and label of every sample; the labels of record 0, if it has any, say where the samples end."""
        index = self._index()
        with self.records.open("rb") as file:
            if index[0, 0] == 0:
                flag, labels, _ = self._unpack(self._record(file, 0, int(index[0, 1])), 0)
                if flag:
                    index = index[(index[:, 0] > 0) & (index[:, 0] < labels[0])]
            for key, offset in index.tolist():
                flag, labels, _ = self._unpack(self._record(file, key, offset), key)
                if not (labels[0] == int(labels[0]) and 0 <= labels[0] < _MOST_PEOPLE):
                    raise EmotiwError(f"{self.records}: record {key} has the label {labels[0]}, which is not a person")
                yield key, int(labels[0])

    def read(self, path: str) -> bytes:
        """Return the image file of a sample."""
        index, key = self._index(), int(PurePosixPath(path).stem)
        row = int(np.searchsorted(index[:, 0], key))
        try:
            with self.records.open("rb") as file:
                return self._unpack(self._record(file, key, int(index[row, 1])), key)[2]
        except OSError as error:
            raise UnreadableImageError(error.strerror or "cannot be read") from None

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the file's size and time."""
        return file_stamp(self.records)

    def _index(self) -> Index:
        return _read_index(self.records.with_suffix(".idx"), self.stamp(""))

    def _record(self, file: BinaryIO, key: int, offset: int) -> bytes:
        """Return a record, its parts joined by the magic at which it was split."""
        file.seek(offset)
        parts: list[bytes] = []
        size, expected, last = 0, (WHOLE, FIRST), False
        while not last:
            head = file.read(PART.size)
            magic, packed = PART.unpack(head) if len(head) == PART.size else (None, 0)
            if magic is None:
                raise self._broken(key, offset, "is cut off")
            part, length = packed >> LENGTH_BITS, packed & ((1 << LENGTH_BITS) - 1)
            size += length
            if magic != MAGIC or part not in expected or size > _MOST_OF_A_RECORD:
                raise self._broken(key, offset, "is not a record")
            data = file.read(length)
            if len(data) != length:
                raise self._broken(key, offset, "is cut off")
            file.seek(-length % 4, 1)
            parts.append(data)
            expected, last = (MIDDLE, LAST), part in (WHOLE, LAST)
        return MAGIC.to_bytes(4, "little").join(parts)

    def _unpack(self, record: bytes, key: int) -> tuple[int, tuple[float, ...], bytes]:
        """Return a record's flag, labels and image file."""
        flag, label = HEADER.unpack_from(record)[:2] if len(record) >= HEADER.size else (_MOST_LABELS + 1, 0.0)
        end = HEADER.size + 4 * flag
        if flag > _MOST_LABELS or end > len(record):
            raise self._broken(key, None, "has no header")
        labels = struct.unpack_from(f"<{flag}f", record, HEADER.size) if flag else (label,)
        if not np.isfinite(labels).all():
            raise self._broken(key, None, "has a label that is not a number")
        return flag, labels, record[end:]

    def _broken(self, key: int, offset: int | None, what: str) -> EmotiwError:
        where = f" at byte {offset}" if offset is not None else ""
        return EmotiwError(f"{self.records}: record {key}{where} {what}: copy the file and its .idx again")


@lru_cache(maxsize=1)
def _read_index(path: Path, stamp: tuple[int, int]) -> Index:
    """Return keys and offsets, by key; cached."""
    try:
        index = np.array([line.split() for line in path.read_text("ascii").splitlines()], np.int64)
    except FileNotFoundError:
        raise EmotiwError(f"{path}, the index of the .rec, is missing: copy it beside the .rec") from None
    except (ValueError, OverflowError):
        index = np.empty((0, 0), np.int64)
    if index.ndim != 2 or index.shape[1:] != (2,) or not len(index):
        raise EmotiwError(f"{path} is not an index of lines `key offset`: copy it again")
    index = index[np.argsort(index[:, 0], kind="stable")]
    if index.min() < 0 or index[:, 1].max() >= stamp[0] or (index[:, 1] % 4).any() or (np.diff(index[:, 0]) == 0).any():
        raise EmotiwError(f"{path} points outside its .rec (cut off?), or twice to one record: copy both again")
    return index


def _people(path: Path) -> int:
    """Return the number of people in the file `property` (`10572,112,112`); 0 if there is none."""
    first = path.read_text("ascii", "replace").split(",")[0].strip() if path.is_file() else ""
    return int(first) if first.isdecimal() else 0


def _notes(source: Records, images: list[Image]) -> Iterator[str]:
    try:
        sides = decode(source.read(images[0].path)).shape[:2] if images else ()
    except UnreadableImageError:
        return
    # Deviation D13
    if sides == (_INSIGHTFACE, _INSIGHTFACE):
        yield (
            "warning: faces of 112 x 112 pixels, insightface's own crops: aligned differently from CASIA-WebFace's "
            "250 x 250 pictures, which the paper used, and resized to --size"
        )
