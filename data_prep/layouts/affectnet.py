"""Layouts `affectnet` and `affectnet-npy`: AffectNet's tables, or a label file beside each image.

`affectnet`: `training.csv` and `validation.csv` with the columns `subDirectory_filePath` and `expression`; the
paths are relative to any folder of the source. `affectnet-npy`: `images/<id>.jpg` and `annotations/<id>_exp.npy`; a
folder around both may name the split (`train_set/`, `val_set/`). Both number the classes in AffectNet's order; those
that are no classes of the set, such as Contempt with the seven emotions, and the numbers that are not expressions
(8 None, 9 Uncertain, 10 No face) are left out and counted.

Standing: columns, folders and the numbers 0 to 7 are from the project's data notes, 8 to 10 from public readers of the
set; not verified on an original file. In some downloads `validation.csv` is said to have no header; it is then refused.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from emotiw.data_prep.archives.tree import Folder, Found, folder_of
from emotiw.data_prep.image_list import Image, Interpretation, Listing, printable, split_meant, unusable, word_of
from emotiw.data_prep.label_order import ORDERS, number_in
from emotiw.errors import EmotiwError

from .folders import in_emotion_folders

_ORDER = ORDERS["affectnet"]
_PATH, _EXPRESSION = "subDirectory_filePath", "expression"
_TABLES = ("training.csv", "validation.csv")
_ANNOTATION = re.compile(r"(.*/)?annotations/([^/]+)_exp\.npy")
_IMAGE = re.compile(r"(.*/)?images/([^/]+)\.\w+")
# The header that numpy.save writes before a single number or a short text. It does not match files of Python objects,
# which would have to be unpickled.
_NPY = re.compile(
    rb"\x93NUMPY[\x01\x02]\x00.{2,4}\{'descr': '([|<>])([iufSU])([1-9])', 'fortran_order': (?:False|True), "
    rb"'shape': \((?:1L?,)?\), \} *\n",
    re.DOTALL,
)
_LONGEST_NPY = 256
_WIDTHS = {"i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (4, 8)}


def is_affectnet(found: Found) -> bool:
    """Return whether a table has AffectNet's columns, and there are no class folders, which come first."""
    return bool(_tables(found)) and not in_emotion_folders(found.files)


def is_affectnet_npy(found: Found) -> bool:
    """Return whether labels are in a folder `annotations`, and there are no class folders, which come first."""
    return any(_ANNOTATION.fullmatch(path) for path in found.files) and not in_emotion_folders(found.files)


def list_affectnet(found: Found, how: Interpretation) -> Listing:
    """List the images of AffectNet's tables; a table's name gives its split."""
    tables = _tables(found)
    if not tables:
        raise EmotiwError(f"{found.place} holds no table with the columns {_PATH} and {_EXPRESSION}: give their folder")
    places = _Places(found)
    images: dict[str, Image] = {}
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for table in tables:
        word = word_of((PurePosixPath(table).stem,))
        for written, name in _rows(found, table):
            path = places.find(written)
            if path is None:
                left_out[printable(written)] = unusable(written) or "is not there"
            elif (kind := how.classes.named(name)) is None:
                unknown[name] += 1
            elif path in images:
                left_out[f"{path} (again)"] = "is listed twice"
            else:
                images[path] = Image(path, kind, split=split_meant(word), official=word)
    others = places.count - len(images) - unknown.total()
    notes = (f"{others} image files are not used: no table names them",) if others > 0 else ()
    return Listing(sorted(images.values(), key=lambda image: image.path), found.tree, left_out, unknown, notes)


def list_affectnet_npy(found: Found, how: Interpretation) -> Listing:
    """List the images in folders named `images`; their labels are in the folder `annotations` beside it."""
    annotations = {match.groups(""): match[0] for path in found.files if (match := _ANNOTATION.fullmatch(path))}
    images: list[Image] = []
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for path in found.files:
        match = _IMAGE.fullmatch(path)
        if match is None or unusable(path):
            if not _is_annotation(path):
                left_out[printable(path)] = unusable(path) or "is not in a folder named images"
            continue
        annotation = annotations.get(match.groups(""))
        number = _number(found.tree.head(annotation, _LONGEST_NPY + 1)) if annotation else None
        if number is None or number not in _ORDER.numbers:
            left_out[path] = f"its label {annotation} is not one of {_ORDER}" if annotation else "has no label"
        elif (kind := how.classes.named(_ORDER.class_of(number))) is None:
            unknown[_ORDER.class_of(number)] += 1
        else:
            word = word_of(folder_of(path).parts)
            images.append(Image(path, kind, split=split_meant(word), official=word))
    return Listing(images, found.tree, left_out, unknown)


class _Places:
    """The image files of a source, found by paths that are relative to any of its folders."""

    def __init__(self, found: Found) -> None:
        # If SOURCE is a table, its folder is searched.
        alone = len(found.files) == 1 and isinstance(found.tree, Folder)
        self._where = found.place
        self._by_end: dict[str, list[str]] = {}
        for path in found.tree.files() if alone else found.files:
            if not unusable(path):
                self._by_end.setdefault(_end(path), []).append(path)

    @property
    def count(self) -> int:
        """The number of image files."""
        return sum(map(len, self._by_end.values()))

    def find(self, written: str) -> str | None:
        """Return the file with a path that ends with `written`; None if there is none.

        Raises
        ------
        EmotiwError
            If there are several.
        """
        written = written.replace("\\", "/").strip("/")
        paths = [path for path in self._by_end.get(_end(written), []) if f"/{path}".endswith(f"/{written}")]
        if len(paths) > 1:
            raise EmotiwError(f"{self._where}: {written} may be {paths[0]} or {paths[1]}: give the folder of one alone")
        return paths[0] if paths else None


def _end(path: str) -> str:
    return "/".join(path.rsplit("/", 2)[-2:])


def _tables(found: Found) -> list[str]:
    return [
        path
        for path in found.files
        if path.lower().endswith(".csv")
        and (folder_of(path) == found.top or path.rpartition("/")[2].lower() in _TABLES)
        and {_PATH, _EXPRESSION} <= set(_columns(found.head(path)))
    ]


def _columns(line: str) -> list[str]:
    return [name.strip().strip('"') for name in line.split(",")]


def _rows(found: Found, table: str) -> Iterator[tuple[str, str]]:
    """Yield path and class."""
    columns = _columns(found.head(table))
    path, expression = columns.index(_PATH), columns.index(_EXPRESSION)
    try:
        for row in list(csv.reader(io.StringIO(found.text(table))))[1:]:
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(columns):
                said = f"has a row of {len(row)} columns, not {len(columns)}: correct the table"
                raise EmotiwError(f"{found.where(table)} {said}")
            number = number_in(row[expression])
            if number is None or number not in _ORDER.numbers:
                said = f"{row[path][:80]}: {_EXPRESSION} {row[expression][:20]!r} is not one of {_ORDER}"
                raise EmotiwError(f"{found.where(table)}: {said}")
            yield row[path], _ORDER.class_of(number)
    except csv.Error as error:
        raise EmotiwError(f"{found.where(table)} is not a valid CSV: {error}") from None


def _is_annotation(path: str) -> bool:
    """Return whether it is one of the label files: expression, valence, arousal, landmarks."""
    return "annotations" in folder_of(path).parts and path.endswith(".npy")


def _number(data: bytes) -> int | None:
    """Return the whole number in a NumPy file; None if there is none."""
    header = _NPY.match(data) if len(data) <= _LONGEST_NPY else None
    if header is None:
        return None
    order, kind, width = (part.decode() for part in header.groups())
    rest, size = data[header.end() :], int(width)
    if kind == "U":
        return number_in(rest.decode("utf-32-be" if order == ">" else "utf-32-le", "replace").rstrip("\0"))
    if kind == "S":
        return number_in(rest.decode("ascii", "replace").rstrip("\0"))
    if size not in _WIDTHS[kind] or len(rest) != size:
        return None
    return number_in(str(np.frombuffer(rest, order + kind + width)[0]))
