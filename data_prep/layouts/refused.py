"""Refuse sources that are recognised but not read; give hints for sources without an image."""

from pathlib import PurePosixPath
from typing import NoReturn

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Interpretation
from emotiw.errors import EmotiwError

from .columns import not_understood

# If no image is found: the ending of a file that is there instead, and the remedy.
_HINTS = {
    ".zip": "an archive in SOURCE: give that file itself, or unpack it",
    ".rar": "an archive that is not read in place: unpack it and give the folder",
    ".7z": "an archive that is not read in place: unpack it and give the folder",
    ".tar": "an archive that is not read in place: unpack it and give the folder",
    ".tgz": "an archive that is not read in place: unpack it and give the folder",
    ".gz": "an archive that is not read in place: unpack it and give the folder",
    ".z01": "a part of a split zip archive: join the parts (zip -s 0 NAME.zip --out whole.zip) and give the whole",
    ".idx": "the index of a RecordIO file: give the .rec beside it, or their folder",
}


def is_parquet(found: Found) -> bool:
    """Return whether this is a mirror in parquet files."""
    return any(path.lower().endswith(".parquet") for path in found.files)


def refuse_parquet(found: Found, how: Interpretation) -> NoReturn:
    """Raise an error that says what to do with parquet files."""
    raise EmotiwError(
        f"{found.place} holds parquet files, which are not read: write each row's image.bytes to a file "
        "<label>/<row>.jpg, and give the folder of these"
    )


def is_prepared(found: Found) -> bool:
    """Return whether this is a set that `emotiw prepare` made."""
    return {"set.json", "manifest.csv"} <= set(found.files)


def refuse_prepared(found: Found, how: Interpretation) -> NoReturn:
    """Raise an error that says which sources can be prepared instead."""
    raise EmotiwError(
        f"{found.place} is a prepared set already: give the faces that it was made of, or the LMDBs of one of its "
        f"representations, such as {found.place / 'rgb'}"
    )


def hint(found: Found) -> str:
    """Return a hint by the files that are there, for the error that no image is; else empty."""
    for path in found.files:
        if path.lower().endswith((".csv", ".tsv")):
            return f"; {path} {not_understood(found.head(path))}"
    for path in found.files:
        if remedy := _HINTS.get(PurePosixPath(path).suffix.lower()):
            return f"; {path} is {remedy}"
    return ""
