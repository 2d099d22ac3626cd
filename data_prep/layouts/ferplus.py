"""Layout `ferplus`: FERPlus's `fer2013new.csv`, the votes of ten people on each picture of FER2013.

The pictures are the rows of `fer2013.csv` beside it, in the same order; without that file, the PNGs that the column
`Image name` names. An image's class is the one with the most votes, counting those for unknown and NF (no
face). Ties, rows without a name, and what is no class of the set (unknown, NF, contempt with the seven emotions) are
left out and counted.

Standing: columns, order of rows and names from the project's data notes. As we remember it, the script that came with
FERPlus is stricter: it ignores single votes and asks for more than half of the rest. Neither is verified.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from emotiw.data_prep.archives.tree import Folder, Found, Source
from emotiw.data_prep.class_list import ClassList
from emotiw.data_prep.image_list import Image, Interpretation, Listing, unusable
from emotiw.errors import EmotiwError

from . import fer2013
from .folders import in_emotion_folders
from .votes import NoClassError, majority

_TABLE, _PIXELS = "fer2013new.csv", "fer2013.csv"
_CLASSES = tuple("neutral happiness surprise sadness anger disgust fear contempt unknown NF".split())
_COLUMNS = ("Usage", "Image name", *_CLASSES)


@dataclass(frozen=True)
class _Row:
    """A row of the table.

    Attributes
    ----------
    name
        Name of the PNG; empty if the picture shows no face.
    usage
        Its split, as the column Usage has it.
    label
        A class of the set; empty if the votes give none.
    reason
        Why there is none.
    """

    name: str
    usage: str
    label: str
    reason: str


def is_ferplus(found: Found) -> bool:
    """Return whether there is FERPlus's table, and no class folder."""
    return found.only(_TABLE) is not None and not in_emotion_folders(found.files)


def list_ferplus(found: Found, how: Interpretation) -> Listing:
    """List FERPlus's faces with the classes by the votes."""
    table = found.only(_TABLE)
    if table is None:
        raise EmotiwError(f"{found.place} does not hold one file named *{_TABLE}: give the folder that does")
    rows = list(_rows(found, table, how.classes))
    pixels = _pixels(found, table)
    source, paths = _from_pixels(found, table, pixels, rows) if pixels else _from_files(found, rows)
    images: list[Image] = []
    left_out: dict[str, str] = {}
    for number, (path, row) in enumerate(zip(paths, rows, strict=True), 1):
        if reason := row.reason or ("" if path else "is not there"):
            left_out[path or row.name or f"{table}, row {number}"] = reason
        else:
            images.append(Image(path, row.label, split=fer2013.USAGE[row.usage], official=row.usage))
    return Listing(
        sorted(images, key=lambda image: image.path), source, left_out, notes=tuple(_notes(found, rows, paths))
    )


def _notes(found: Found, rows: list[_Row], paths: list[str]) -> Iterator[str]:
    counts = Counter(row.reason for row in rows if row.reason)
    if counts:
        yield f"left out by FERPlus's votes: {', '.join(f'{count} {why}' for why, count in sorted(counts.items()))}"
    if others := sum(not unusable(path) for path in {*found.files} - {*paths}):
        yield f"{others} image files are not used: FERPlus's table does not name them, or {_PIXELS} holds the pixels"


def _rows(found: Found, table: str, classes: ClassList) -> Iterator[_Row]:
    where = found.where(table)
    try:
        header, *rows = csv.reader(io.StringIO(found.text(table)))
    except (csv.Error, ValueError) as error:
        raise EmotiwError(f"{where} is not a valid CSV: {error}") from None
    columns = [name.strip() for name in header]
    if sorted(columns) != sorted(_COLUMNS):
        raise EmotiwError(f"{where} has the columns {', '.join(columns)[:200]}, not {', '.join(_COLUMNS)}")
    for number, row in enumerate(rows, 1):
        if not any(map(str.strip, row)):
            continue
        values = dict(zip(columns, map(str.strip, row), strict=False))
        if len(row) != len(columns) or values["Usage"] not in fer2013.USAGE:
            raise EmotiwError(f"{where}, row {number} is not a Usage, a name and ten votes: {','.join(row)[:80]!r}")
        try:
            yield _Row(values["Image name"], values["Usage"], *_class(values, classes))
        except EmotiwError as error:
            raise EmotiwError(f"{where}, row {number}: {error}") from None


def _class(values: dict[str, str], classes: ClassList) -> tuple[str, str]:
    """Return the class of a row's votes, else empty, and the reason why there is none, else empty."""
    if not values["Image name"]:
        return "", "without a name (no face)"
    try:
        name = majority({name: values[name] for name in _CLASSES})
    except NoClassError as error:
        return "", str(error)
    return classes.named(name) or "", "" if classes.named(name) else name


def _pixels(found: Found, table: str) -> str | None:
    """Return the name of FER2013's table in this source, or beside it if the source is a table."""
    if found.place.name == table and isinstance(found.tree, Folder):
        return _PIXELS if (found.tree.root / _PIXELS).is_file() else None
    return found.only(_PIXELS)


def _from_pixels(found: Found, table: str, pixels: str, rows: list[_Row]) -> tuple[Source, list[str]]:
    """Return the rows of FER2013's table as a source, and the path of each in it."""
    where = found.where(pixels)
    if not fer2013.is_table(found, pixels):
        raise EmotiwError(f"{where} does not have FER2013's columns emotion, pixels and Usage")
    source = fer2013.Pixels(found.root(pixels) / pixels)
    theirs = list(source.images())
    if len(theirs) != len(rows):
        raise EmotiwError(f"{where} has {len(theirs)} rows and {table} {len(rows)}: they do not belong together")
    for number, (image, row) in enumerate(zip(theirs, rows, strict=True), 1):
        if image.official not in ("", row.usage):
            raise EmotiwError(f"{where}, row {number} is of the split {image.official}, and of {row.usage} in {table}")
    return source, [image.path for image in theirs]


def _from_files(found: Found, rows: list[_Row]) -> tuple[Source, list[str]]:
    """Return the source itself, and the path of each row's file in it, empty if there is none."""
    alone = len(found.files) == 1 and isinstance(found.tree, Folder)
    paths: dict[str, str] = {}
    for path in found.tree.files() if alone else found.files:
        name = PurePosixPath(path).name
        if not unusable(path) and paths.setdefault(name, path) != path:
            raise EmotiwError(f"{found.place} holds {paths[name]} and {path}, which have one name: keep one")
    return found.tree, [paths.get(row.name, "") for row in rows]
