"""The layouts of a source: which one it has, and its images; what is refused, and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NoReturn

from emotiw.data_prep.archives.tree import Found, Unpack, look, refuse_to_unpack
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import Listing, complete
from emotiw.errors import EmotiwError, UsageError

from . import fer2013, folders, lmdb, recordio, sfew, tables

# Where no image is found: the ending of what is there instead, and what mends that.
_HINTS = {
    ".zip": "an archive that lies in SOURCE: give that file itself, or unpack it",
    ".rar": "an archive that is not read in place: unpack it and give the folder",
    ".7z": "an archive that is not read in place: unpack it and give the folder",
    ".tar": "an archive that is not read in place: unpack it and give the folder",
    ".tgz": "an archive that is not read in place: unpack it and give the folder",
    ".gz": "an archive that is not read in place: unpack it and give the folder",
    ".z01": "a part of a split zip archive: join the parts (zip -s 0 NAME.zip --out whole.zip) and give the whole",
    ".idx": "the index of a RecordIO file: give the .rec that lies beside it, or their folder",
}


def is_parquet(found: Found) -> bool:
    """Return whether this is a mirror in parquet files."""
    return any(path.lower().endswith(".parquet") for path in found.files)


def refuse_parquet(found: Found, labels: str) -> NoReturn:
    """Say what to do with parquet files."""
    raise EmotiwError(
        f"{found.place} holds parquet files, which are not read: write each row's image.bytes to a file "
        "<label>/<row>.jpg, and give the folder of these"
    )


def is_prepared(found: Found) -> bool:
    """Return whether this is a set that `emotiw prepare` made."""
    return {"set.json", "manifest.csv"} <= set(found.files)


def refuse_prepared(found: Found, labels: str) -> NoReturn:
    """Say what can be prepared anew."""
    raise EmotiwError(
        f"{found.place} is a prepared set already: give the faces that it was made of, or the LMDBs of one of its "
        f"representations, such as {found.place / 'rgb'}"
    )


def hint(found: Found) -> str:
    """Return what else is there, for the complaint that no image is; or nothing."""
    for path in found.files:
        if told := _HINTS.get(PurePosixPath(path).suffix.lower()):
            return f"; {path} is {told}"
    return ""


# CASIA-WebFace's people who are in LFW too, by their folders.
IN_LFW = ("0166921", "1056413", "1193098")
_BOTH = ("emotions", "identities")


@dataclass(frozen=True)
class Layout:
    """A way to hold a set.

    Attributes
    ----------
    recognise
        Whether what was found is in this layout, by looking at names and first lines.
    list
        Its images, for `--labels`; classes and groups are completed afterwards.
    labels
        What its classes can be.
    """

    name: str
    recognise: Callable[[Found], bool]
    list: Callable[[Found, str], Listing]
    labels: tuple[str, ...]


LAYOUTS = (
    Layout("prepared", is_prepared, refuse_prepared, _BOTH),
    Layout("sfew-1.0", sfew.is_sfew1, sfew.refuse_sfew1, _BOTH),
    Layout("sfew", sfew.is_sfew, sfew.list_sfew, ("emotions",)),
    Layout("sfew-csv", tables.is_repack, sfew.list_repack, ("emotions",)),
    Layout("recordio", recordio.is_recordio, recordio.list_recordio, ("identities",)),
    Layout("lmdb", lmdb.is_lmdb, lmdb.list_lmdb, _BOTH),
    Layout("fer2013", fer2013.is_fer2013, fer2013.list_fer2013, ("emotions",)),
    Layout("raf-db", tables.is_raf_db, tables.list_raf_db, ("emotions",)),
    Layout("csv", tables.is_csv, tables.list_csv, _BOTH),
    Layout("list", tables.is_list, tables.list_list, _BOTH),
    Layout("parquet", is_parquet, refuse_parquet, _BOTH),
    Layout("folders", lambda found: True, folders.list_folders, _BOTH),
)
"""The layouts; the first that recognises a source has it, so those that know their set best come first."""


def list_images(
    source: Path,
    labels: str,
    group: str | None = None,
    layout: str | None = None,
    *,
    drop_lfw: bool = False,
    unpack: Unpack = refuse_to_unpack,
) -> Listing:
    """List the images of a source.

    Parameters
    ----------
    labels
        "emotions": classes are the seven, matched by name. "identities": every person is a class.
    group
        See `complete`.
    layout
        The name of one of `LAYOUTS`; None: the first that recognises the source.
    drop_lfw
        Whether to drop `IN_LFW`.
    unpack
        What unpacks such files of an archive as are read here and there.

    Raises
    ------
    EmotiwError
        Where the source holds no image, cannot be read, or a path does not match `group`.
    UsageError
        Where the layout holds no such labels.
    """
    names = [row.name for row in LAYOUTS]
    if layout is not None and layout not in names:
        raise UsageError(f"--layout {layout} is none of {', '.join(names)}")
    found = look(source, unpack)
    row = next(row for row in LAYOUTS if (row.name == layout if layout else row.recognise(found)))
    if labels not in row.labels:
        raise UsageError(f"{source} is in the layout {row.name}: give --labels {row.labels[0]}")
    listing = replace(row.list(found, labels), layout=row.name)
    if drop_lfw:
        listing = _without_lfw(listing, labels)
    if not listing.images:
        raise EmotiwError(f"{source} holds no image {_where(row, labels, listing)}{hint(found)}")
    return complete(listing, labels, group)


def _where(row: Layout, labels: str, listing: Listing) -> str:
    if row.name == "folders":
        return f"in a folder named like {_EXPECTED[labels]}"
    first = next((f": {path}: {reason}" for path, reason in listing.left_out.items()), "")
    return f"that can be used, as the layout {row.name}{first}"


_EXPECTED = {"emotions": "an emotion: " + ", ".join(EMOTIONS), "identities": "a person"}


def _without_lfw(listing: Listing, labels: str) -> Listing:
    if labels != "identities":
        raise UsageError("--drop-lfw is for CASIA-WebFace's people: give --labels identities")
    people = {image.path: {image.name, *PurePosixPath(image.path).parts} & set(IN_LFW) for image in listing.images}
    dropped = Counter(person for found in people.values() for person in found)
    told = ", ".join(f"{person} ({count} images)" for person, count in sorted(dropped.items()))
    note = f"dropped, in LFW too: {told or 'nobody: none of the three is here'}"
    kept = [image for image in listing.images if not people[image.path]]
    return replace(listing, images=kept, notes=(*listing.notes, note))
