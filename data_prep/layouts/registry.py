"""The layouts of a source: which one it has, and its images; what is refused, and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NoReturn

from emotiw.data_prep.archives.tree import Found, Unpack, look, refuse_to_unpack
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.groups import group_by, group_in_name, pattern_of
from emotiw.data_prep.image_list import AmbiguousError, Image, Interpretation, Listing, Reading
from emotiw.errors import EmotiwError, UsageError

from . import (
    affectnet,
    ck_plus,
    fer2013,
    ferplus,
    folders,
    lmdb,
    named_files,
    raf_db_kaggle,
    recordio,
    sfew,
    tables,
)
from .columns import not_understood
from .coverage import compare_with_table
from .tables import understood

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


def refuse_parquet(found: Found, how: Interpretation) -> NoReturn:
    """Say what to do with parquet files."""
    raise EmotiwError(
        f"{found.place} holds parquet files, which are not read: write each row's image.bytes to a file "
        "<label>/<row>.jpg, and give the folder of these"
    )


def is_prepared(found: Found) -> bool:
    """Return whether this is a set that `emotiw prepare` made."""
    return {"set.json", "manifest.csv"} <= set(found.files)


def refuse_prepared(found: Found, how: Interpretation) -> NoReturn:
    """Say what can be prepared anew."""
    raise EmotiwError(
        f"{found.place} is a prepared set already: give the faces that it was made of, or the LMDBs of one of its "
        f"representations, such as {found.place / 'rgb'}"
    )


def hint(found: Found) -> str:
    """Return what else is there, for the complaint that no image is; or nothing."""
    for path in found.files:
        if path.lower().endswith((".csv", ".tsv")):
            return f"; {path} {not_understood(found.head(path))}"
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
        Its images, as they are to be read; classes and groups are completed afterwards.
    labels
        What its classes can be.
    recognised
        How it is recognised, in words for the documentation.
    needs
        What a source in it must hold, or why it is refused.
    """

    name: str
    recognise: Callable[[Found], bool]
    list: Callable[[Found, Interpretation], Listing]
    labels: tuple[str, ...]
    recognised: str
    needs: str


_EMOTIONS, _IDENTITIES = ("emotions",), ("identities",)
LAYOUTS = (
    Layout(
        "prepared",
        is_prepared,
        refuse_prepared,
        _BOTH,
        "`set.json` and `manifest.csv` at the top",
        "refused: give the faces the set was made of, or the LMDBs of one of its representations",
    ),
    Layout(
        "sfew-1.0",
        sfew.is_sfew1,
        sfew.refuse_sfew1,
        _BOTH,
        "frames named as SFEW's, no folder that names a split, and 700 images or a table of LPQ or PHOG features",
        "refused: the paper's set is SFEW 2.0",
    ),
    Layout(
        "sfew",
        sfew.is_sfew,
        sfew.list_sfew,
        _EMOTIONS,
        "frames named as SFEW's (`<Movie>_<9 digits>_<8 digits>`) below folders or zips that name a split",
        "`Train`, `Val` and `Test`, or `Train_Aligned_Faces` and so on, with a folder a class except in Test",
    ),
    Layout(
        "sfew-csv",
        tables.is_repack,
        sfew.list_repack,
        _EMOTIONS,
        "`sfew_2.0_labels.csv`",
        "that table (`image_name,label,emotion,original_split`) beside `sfew2.0_images/`",
    ),
    Layout(
        "recordio",
        recordio.is_recordio,
        recordio.list_recordio,
        _IDENTITIES,
        "one `.rec` file",
        "the `.rec` and the `.idx` beside it; labels are people",
    ),
    Layout(
        "lmdb",
        lmdb.is_lmdb,
        lmdb.list_lmdb,
        _BOTH,
        "a `data.mdb`, or folders that hold one each",
        "Caffe's Datums; labels are people, or emotions with `--order`, which a prepared set carries; a "
        "folder such as `train_lmdb` names the split",
    ),
    Layout(
        "fer2013",
        fer2013.is_fer2013,
        fer2013.list_fer2013,
        _EMOTIONS,
        "one CSV at the top with the columns `emotion`, `pixels` and, where the table has splits, `Usage`",
        "FER2013's numbers 0 to 6, square pictures of grey values, its words Training, PublicTest, PrivateTest",
    ),
    Layout(
        "ferplus",
        ferplus.is_ferplus,
        ferplus.list_ferplus,
        _EMOTIONS,
        "`fer2013new.csv`, and no folder named like an emotion",
        "`fer2013.csv` beside it with as many rows, or the PNGs that it names",
    ),
    Layout(
        "raf-db",
        tables.is_raf_db,
        tables.list_raf_db,
        _EMOTIONS,
        "`EmoLabel/list_patition_label.txt`",
        "that list beside `Image/aligned/`; RAF-DB's numbers 1 to 7",
    ),
    Layout(
        "raf-db-kaggle",
        raf_db_kaggle.is_raf_db_kaggle,
        raf_db_kaggle.list_raf_db_kaggle,
        _EMOTIONS,
        "images such as `DATASET/train/1/train_00001_aligned.jpg`",
        "folders `train` and `test` with `1` to `7`; `train_labels.csv` and `test_labels.csv`, where there, must agree",
    ),
    Layout(
        "affectnet",
        affectnet.is_affectnet,
        affectnet.list_affectnet,
        _EMOTIONS,
        "a CSV with the columns `subDirectory_filePath` and `expression`, and no folder named like an emotion",
        "`training.csv`, `validation.csv` or one table at the top, and the images under any folder",
    ),
    Layout(
        "csv",
        tables.is_csv,
        tables.list_csv,
        _BOTH,
        "one CSV or TSV at the top, or `metadata.csv` files, with a column of paths and one of labels or one a class",
        "paths relative to the table; classes by name, or numbers with `--order`; a column `split`, where there is "
        "one, says train, val or test",
    ),
    Layout(
        "list",
        tables.is_list,
        tables.list_list,
        _BOTH,
        "one `.txt`, `.lst` or `.list` at the top that begins with `path label`, or as im2rec or insightface write it",
        "a line an image, paths relative to the list; classes as in `csv`",
    ),
    Layout(
        "parquet",
        is_parquet,
        refuse_parquet,
        _BOTH,
        "a `.parquet` file",
        "refused: write each row's image to a file `<label>/<row>.jpg`",
    ),
    Layout(
        "affectnet-npy",
        affectnet.is_affectnet_npy,
        affectnet.list_affectnet_npy,
        _EMOTIONS,
        "files such as `annotations/<id>_exp.npy`, and no folder named like an emotion",
        "`images/<id>.jpg` for each; a folder around both, such as `train_set`, names the split",
    ),
    Layout(
        "ck+",
        ck_plus.is_ck_plus,
        ck_plus.list_ck_plus,
        _EMOTIONS,
        "files such as `S005/001/S005_001_00000011_emotion.txt`, and no folder named like an emotion",
        "the frames of each labelled sequence, named `S005/001/S005_001_00000011.png`; the subject is the group",
    ),
    Layout(
        "jaffe",
        named_files.is_jaffe,
        named_files.list_jaffe,
        _BOTH,
        "files such as `KA.AN1.39.tiff`, and no folder named like an emotion",
        "names of person, expression and number; the person is the group",
    ),
    Layout(
        "kdef",
        named_files.is_kdef,
        named_files.list_kdef,
        _BOTH,
        "files such as `AF01ANS.JPG`, and no folder named like an emotion",
        "names of session, person, expression and view; the person is the group",
    ),
    Layout(
        "folders",
        lambda found: True,
        folders.list_folders,
        _BOTH,
        "what no other layout recognises",
        "`<class>/<image>`: folders named like emotions, or a folder a person; folders above named train, val or test",
    ),
)
"""The layouts; the first that recognises a source has it, so those that know their set best come first."""


_BY_NAME = {row.name: row for row in LAYOUTS}
_TABLES = ("csv", "list")  # the layouts of any table or list


def list_images(source: Path, how: Interpretation, unpack: Unpack = refuse_to_unpack) -> Listing:
    """List the images of a source.

    Parameters
    ----------
    unpack
        What unpacks such files of an archive as are read here and there.

    Raises
    ------
    AmbiguousError
        If the source has several readings, and `how` does not say which is meant.
    EmotiwError
        If the source holds no image, cannot be read, or a path does not match `how.group`.
    UsageError
        If the layout holds no such labels.
    """
    if how.layout is not None and how.layout not in _BY_NAME:
        raise UsageError(f"--layout {how.layout} is none of {', '.join(_BY_NAME)}")
    row, found = _choose(look(source, unpack), how)
    if how.labels not in row.labels:
        raise UsageError(f"{source} is in the layout {row.name}: give --labels {row.labels[0]}")
    listing = replace(row.list(found, how), layout=row.name)
    if row.name in _TABLES:
        listing = compare_with_table(found, listing, how)
    if listing.order:
        listing = replace(listing, notes=(*listing.notes, f"labels are numbers: {listing.order}"))
    if how.drop_lfw:
        listing = _without_lfw(listing, how.labels)
    if not listing.images:
        raise EmotiwError(f"{source} holds no image {_where(row, how.labels, listing)}{hint(found)}")
    return complete(listing, how.labels, how.group)


def _choose(found: Found, how: Interpretation) -> tuple[Layout, Found]:
    """Return the layout of what was found, and what of it counts.

    Raises
    ------
    AmbiguousError
        If several tables say which image is what.
    """
    if how.table is not None:
        if how.table not in found.files:
            raise UsageError(f"--table {how.table}: {found.place} holds no such file")
        found = replace(found, table=how.table)
        if not how.layout and not any(_BY_NAME[name].recognise(found) for name in _TABLES):
            raise EmotiwError(f"{found.where(how.table)} {not_understood(found.head(how.table))}")
    if how.layout:
        return _BY_NAME[how.layout], found
    tables = [how.table] if how.table else understood(found, how)
    for row in LAYOUTS:
        if row.name not in _TABLES:
            if not how.table and row.recognise(found):
                return row, found
            continue
        several = [table for table in tables if row.recognise(replace(found, table=table))]
        if len(several) > 1:
            raise AmbiguousError(f"{found.place} holds several tables", [Reading(t, f"--table {t}") for t in several])
        if several:
            return row, replace(found, table=several[0])
        if not tables and row.recognise(found):
            return row, found
    raise AssertionError("folders recognise everything")


def complete(listing: Listing, labels: str, group: str | None) -> Listing:
    """Return the listing with its classes, labels and groups.

    Parameters
    ----------
    group
        A regular expression searched in an image's path; its first group (or the whole match) names the image's group.
        None: what the layout or the file's name says; else every image is a group of its own.
    """
    names = {image.name for image in listing.images} - {""}
    classes = EMOTIONS if labels == "emotions" else tuple(sorted(names))
    numbers = {name: number for number, name in enumerate(classes)} | {"": -1}
    pattern = pattern_of(group)
    images = [
        replace(
            image,
            label=numbers[image.name],
            group=group_by(image.path, pattern) if pattern else _own_group(image, labels),
        )
        for image in listing.images
    ]
    return replace(listing, images=images, classes=classes)


def _own_group(image: Image, labels: str) -> str:
    """Return the group that the layout or the name tells; a person who is a class is on both sides of a split."""
    return image.group or (labels == "emotions" and group_in_name(image.path)) or image.path


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
