"""Layouts `csv`, `list`, `sfew-csv` and `raf-db`: a table says which image is what.

`csv` has named columns, such as `path,label`; `list` has lines `path label`, as `convert_imageset` takes them.
Paths are relative to the table.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from emotiw.data_prep.archives.tree import Folder, Found
from emotiw.data_prep.emotions import EMOTIONS, emotion_named
from emotiw.data_prep.image_list import Image, Listing, printable, split_of, unusable
from emotiw.errors import EmotiwError

_PATHS = ("path", "image", "image_name", "file", "filename", "name")
_SPLIT_COLUMNS = ("split", "original_split", "usage")
# The first that a table has: a name says more than a number, whose meaning differs from set to set.
_LABELS = {
    "emotions": ("emotion", "expression", "label", "class"),
    "identities": ("identity", "person", "id", "label", "class"),
}
_REPACK, _REPACK_IMAGES = "sfew_2.0_labels.csv", "sfew2.0_images"
_RAF_DB = "emolabel/list_patition_label.txt"
_RAF_DB_CLASSES = ("Surprise", "Fear", "Disgust", "Happy", "Sad", "Angry", "Neutral")  # from 1 on

Row = tuple[str, str, str]
"""An image's path beside the table, its label and its split, as the table writes them."""


def is_csv(found: Found) -> bool:
    """Return whether the only CSV at the top names a column of paths and one of labels."""
    columns = _columns(found.head(found.only(".csv", top=True)))
    return any(name in columns for name in _PATHS) and any(
        name in columns for names in _LABELS.values() for name in names
    )


def is_repack(found: Found) -> bool:
    """Return whether SFEW 2.0's repack is here."""
    return found.only(_REPACK) is not None


def is_list(found: Found) -> bool:
    """Return whether the only list at the top begins with `path label`."""
    words = found.head(found.only(".txt", ".lst", ".list", top=True)).rsplit(maxsplit=1)
    return len(words) == 2 and not unusable(words[0])


def is_raf_db(found: Found) -> bool:
    """Return whether RAF-DB's basic set is here."""
    return found.only(_RAF_DB) is not None


def list_csv(found: Found, labels: str) -> Listing:
    """List the images of a CSV with named columns."""
    table = _named(found, ".csv", top=True)
    return _list(found, table, _csv_rows(found, table, labels), labels)


def list_repack_rows(found: Found, labels: str) -> Listing:
    """List the images of SFEW 2.0's repack; its test split may be without labels."""
    table = _named(found, _REPACK)
    rows = ((f"{_REPACK_IMAGES}/{path}", label, split) for path, label, split in _csv_rows(found, table, labels))
    return _list(found, table, rows, labels)


def list_list(found: Found, labels: str) -> Listing:
    """List the images of a list file."""
    table = _named(found, ".txt", ".lst", ".list", top=True)
    return _list(found, table, _lines(found, table), labels)


def list_raf_db(found: Found, labels: str) -> Listing:
    """List RAF-DB's aligned faces, whose classes are numbered from 1, in an order of their own."""
    table = _named(found, _RAF_DB)

    def rows() -> Iterator[Row]:
        for name, number, _ in _lines(found, table):
            known = number.isascii() and number.isdigit() and 1 <= int(number) <= len(_RAF_DB_CLASSES)
            label = _RAF_DB_CLASSES[int(number) - 1] if known else number
            yield f"../Image/aligned/{PurePosixPath(name).stem}_aligned.jpg", label, name.partition("_")[0]

    return _list(found, table, rows(), labels)


def _named(found: Found, *endings: str, top: bool = False) -> str:
    name = found.only(*endings, top=top)
    if name is None:
        raise EmotiwError(f"{found.place} does not hold one file named *{endings[0]}: give that file itself")
    return name


def _columns(line: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in line.split(",")]


def _csv_rows(found: Found, table: str, labels: str) -> Iterator[Row]:
    columns = _columns(found.head(table))
    path, label, split = (_first(names, columns) for names in (_PATHS, _LABELS[labels], _SPLIT_COLUMNS))
    if path is None or label is None:
        raise EmotiwError(f"{found.where(table)} has the columns {', '.join(columns)[:200]}: it needs path and label")
    try:
        for row in list(csv.reader(io.StringIO(found.text(table))))[1:]:
            if len(row) == len(columns):
                yield row[path], row[label].strip(), row[split].strip() if split is not None else ""
            elif row:
                raise EmotiwError(f"{found.where(table)} has a row of {len(row)} columns, not {len(columns)}")
    except csv.Error as error:
        raise EmotiwError(f"{found.where(table)} is no whole CSV: {error}") from None


def _first(names: Iterable[str], columns: list[str]) -> int | None:
    return next((columns.index(name) for name in names if name in columns), None)


def _lines(found: Found, table: str) -> Iterator[Row]:
    for number, line in enumerate(found.text(table).splitlines(), 1):
        words = line.rsplit(maxsplit=1)
        if len(words) == 1:
            raise EmotiwError(f"{found.where(table)}, line {number} is no `path label`: {line[:80]!r}")
        if words:
            yield words[0], words[1], ""


def _list(found: Found, table: str, rows: Iterable[Row], labels: str) -> Listing:
    images: dict[str, Image] = {}
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    numbered = False
    for written, label, word in rows:
        path = _beside(found, table, written)
        split, is_number = split_of((_USAGE.get(word.lower(), word),)), label.isascii() and label.isdigit()
        name = _class(label, labels, f"{found.where(table)}: {written}")
        if word and not split:
            raise EmotiwError(f"{found.where(table)}: {written}: split {word[:40]!r} is none of train, val, test")
        if reason := "lies outside the source" if path is None else unusable(path):
            left_out[printable(path or written)] = reason
        elif path in images:
            left_out[f"{path} (again)"] = "is listed twice"
        elif name is None and not (split == "test" and label in ("", "-1")):
            unknown[label] += 1
        else:
            numbered |= is_number
            images[str(path)] = Image(str(path), name or "", split=split)
    note = "labels are numbers: taken in the authors' order, 0 Angry ... 6 Surprise"
    notes = (note,) if numbered and labels == "emotions" else ()
    return Listing(sorted(images.values(), key=lambda image: image.path), found.tree, left_out, unknown, notes)


# FER2013's words.
_USAGE = {"publictest": "val", "privatetest": "test"}


def _class(label: str, labels: str, where: str) -> str | None:
    """Return the class that a table's label means; None where it is none."""
    number = label.isascii() and label.isdigit()
    if labels == "identities":
        return (label.zfill(5) if number else label) or None
    if number:
        if int(label[:9]) >= len(EMOTIONS):
            raise EmotiwError(f"{where}: label {label[:20]} is none of the seven: 0 Angry ... 6 Surprise")
        return EMOTIONS[int(label)]
    return emotion_named(label)


def _beside(found: Found, table: str, written: str) -> str | None:
    """Return a path written in a table as one of the source; None where it leads out of it."""
    path = PurePosixPath(written.strip().replace("\\", "/"))
    if path.is_absolute() and isinstance(found.tree, Folder):
        root = PurePosixPath(found.tree.root.absolute())
        return str(path.relative_to(root)) if path.is_relative_to(root) and ".." not in path.parts else None
    parts: list[str] = list(PurePosixPath(table).parent.parts)
    for part in path.parts:
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) if not path.is_absolute() else None
