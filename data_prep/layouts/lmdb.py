"""Layout `lmdb`: LMDBs of Caffe's Datums, such as `convert_imageset` writes; labels are the Datums'."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from google.protobuf.message import DecodeError

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import OFFICIAL, Image, Interpretation, Listing, Official, split_of
from emotiw.data_prep.images import UnreadableImageError
from emotiw.data_prep.label_order import LabelOrder, label_order, which_order
from emotiw.data_prep.official_splits import made_of
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp
from emotiw.json_record import read_record
from emotiw.prototxt.formats.lmdb import keys_of, reading
from emotiw.prototxt.formats.messages import Datum

_DATA = "data.mdb"
_KEY = re.compile(r"^\d{8}_(.+)$", re.DOTALL)
_MOST_SIDES = 1 << 14


def is_lmdb(found: Found) -> bool:
    """Return whether SOURCE is an LMDB, or a folder of LMDBs."""
    return bool(_data(found))


def list_lmdb(found: Found, how: Interpretation) -> Listing:
    """List the Datums; a folder named like train_lmdb gives the split.

    Labels are numbers of people, or of classes in the given order or that of the prepared set that the LMDBs belong
    to. If neither is known, a class may have its number as its name. In a test split, -1 means no label.

    Raises
    ------
    AmbiguousError
        If the order of the classes is not known.
    """
    data = _data(found)
    source = Lmdbs(found.root(*data.values()) / _holder(found))
    splits = {folder: split_of((PurePosixPath(folder).name,)) for folder in data}
    listed = [(path, label, splits[folder]) for folder in data for path, label in source.labels(folder)]
    labelled = {label for _, label, split in listed if (split, label) != ("test", -1)}
    order = _order(found.place, labelled, how) if how.labels != "identities" else None
    numbers = order.numbers if order else range(1 << 31)
    if wrong := next(((path, label) for path, label, _ in listed if label in labelled and label not in numbers), None):
        raise EmotiwError(f"{found.place}: {wrong[0]} has the label {wrong[1]}, which is none of the classes")
    said = {label: order.class_of(label) if order else _number(label, how) for label in labelled}
    names = {label: how.classes.named(name) for label, name in said.items()}
    unknown = Counter(said[label] for _, label, _ in listed if names.get(label, "") is None)
    kept = [(path, names.get(label, ""), split) for path, label, split in listed]
    words = _official(found.place, splits)
    images = [Image(path, name, split=split, official=words[split]) for path, name, split in kept if name is not None]
    if len({image.path for image in images}) < len(images):
        raise EmotiwError(f"{found.place} holds two keys that differ only in their number: make the LMDB again")
    images.sort(key=lambda image: image.path)
    return Listing(images, source, unknown_classes=unknown, order=str(order or ""))


def _order(place: Path, labels: set[int], how: Interpretation) -> LabelOrder | None:
    """Return the order that is given, or that of the prepared set that the LMDBs belong to; None if numbers are names.

    Raises
    ------
    AmbiguousError
        If the order is not known, and a number is not the name of a class.
    """
    order = label_order(how.order, how.classes) if how.order else _own_order(place)
    if order is None and not all(how.classes.named(str(label)) for label in labels):
        raise which_order(str(place), labels)
    return order


def _own_order(place: Path) -> LabelOrder | None:
    """Return the order of the prepared set that an LMDB belongs to; None if that is a set of people."""
    facts = _set_of(place)
    people = not facts.classes or facts.labels == "identities"
    return None if people else LabelOrder("of its set.json", tuple(facts.classes), 0, "the prepared set")


def _number(label: int, how: Interpretation) -> str:
    """Return a label without an order as a name; those of people are sorted as text."""
    return f"{label:05d}" if how.labels == "identities" else str(label)


def _official(place: Path, splits: Mapping[str, str]) -> dict[str, str]:
    """Return the official split of each split: for a prepared set what it is made from, else that of its name."""
    facts = _set_of(place)
    drawn = {"val"} if facts.val is not None else set()
    made = {split: made_of(facts.official, split, drawn=split in drawn) for split in splits.values()}
    return {split: one.short or OFFICIAL.get(split, "") for split, one in made.items()}


@dataclass(frozen=True)
class _Set:
    """The set.json of the prepared set that an LMDB belongs to; empty if it belongs to none."""

    classes: list[str] = field(default_factory=list)
    labels: str = ""
    val: float | None = None
    official: list[Official] = field(default_factory=list)


def _set_of(place: Path) -> _Set:
    for folder in (place, *place.absolute().parents[:2]):
        with suppress(OSError, ValueError, EmotiwError):
            return read_record(folder / "set.json", _Set, others=True)
    return _Set()


@dataclass(frozen=True)
class Lmdbs:
    """A folder that is an LMDB or holds some, as a source of images."""

    root: Path

    def labels(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield path and label of every Datum of an LMDB."""
        with reading(self.root / folder) as transaction:
            for key, value in transaction.cursor():
                yield _path(folder, bytes(key)), _datum(value, self.root / folder).label

    def read(self, path: str) -> bytes:
        """Return an image file; a Datum of raw pixels becomes a PPM or PGM file."""
        folder, key = self._keys(path)
        with reading(self.root / folder) as transaction:
            datum = _datum(transaction.get(key, b""), self.root / folder)
        return bytes(datum.data) if datum.encoded else _picture(datum)

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the size and time of the image's LMDB."""
        first = self.root / path.split("/")[0] / _DATA
        return file_stamp(first if first.is_file() else self.root / _DATA)

    def _keys(self, path: str) -> tuple[str, bytes]:
        folder = "" if (self.root / _DATA).is_file() else path.split("/")[0]
        return folder, _key_index(self.root, folder, self.stamp(path))[path]


@lru_cache(maxsize=4)
def _key_index(root: Path, folder: str, stamp: tuple[int, int]) -> dict[str, bytes]:
    """Return the key of every path; cached."""
    return {_path(folder, key): key for key in keys_of(root / folder)}


def _holder(found: Found) -> PurePosixPath:
    """Return the folder that is an LMDB or holds some: the source itself, or the folder inside an archive."""
    return found.top.parent if str(found.top / _DATA) in found.files else found.top


def _data(found: Found) -> dict[str, str]:
    """Return the data files of the LMDBs by their folders: the holder itself, or folders directly in it."""
    paths = {name: PurePosixPath(name) for name in found.files if name.endswith(_DATA)}
    folders = {path.parent: name for name, path in paths.items() if path.name == _DATA}
    holder = _holder(found) if folders else PurePosixPath()
    return {
        str(folder.relative_to(holder)).removeprefix("."): name
        for folder, name in folders.items()
        if holder in (folder, folder.parent)
    }


def _path(folder: str, key: bytes) -> str:
    """Return the path in a key: what `convert_imageset` writes after the number, or the whole key."""
    text = key.decode(errors="backslashreplace")
    match = _KEY.match(text)
    return f"{folder}/{match[1] if match else text}".lstrip("/")


def _datum(value: bytes, place: Path) -> Datum:
    try:
        return Datum.FromString(value)
    except DecodeError as error:
        raise EmotiwError(
            f"{place} holds a value that is not a Datum ({error}): it is not one of Caffe's LMDBs"
        ) from None


def _picture(datum: Datum) -> bytes:
    sides = datum.height, datum.width
    planes = np.frombuffer(datum.data, np.uint8)
    whole = datum.channels in (1, 3) and all(0 < side <= _MOST_SIDES for side in sides)
    if not whole or len(planes) != datum.channels * datum.height * datum.width:
        raise UnreadableImageError("the size of its Datum does not fit the number of bytes")
    rows = planes.reshape(datum.channels, *sides)[::-1].transpose(1, 2, 0)  # B, G, R planes to R, G, B pixels
    kind = {1: b"P5", 3: b"P6"}[datum.channels]
    return b"%s %d %d 255\n" % (kind, datum.width, datum.height) + rows.tobytes()
