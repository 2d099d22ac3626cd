"""The layouts of sources: recognise a source's layout and list its images, or refuse it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from emotiw.data_prep.archives.tree import Found, Unpack, look, refuse_to_unpack
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import AmbiguousError, Basis, Interpretation, Listing, Reading
from emotiw.data_prep.official_splits import choose
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
    refused,
    sfew,
    tables,
)
from .columns import not_understood
from .coverage import compare_with_table
from .labels_and_groups import complete
from .lfw import without_lfw
from .tables import is_csv, understood

_BOTH = ("emotions", "identities")
_ANY = (*_BOTH, "classes")


@dataclass(frozen=True)
class Layout:
    """A way to store a data set.

    Attributes
    ----------
    recognise
        Returns whether the files found are in this layout, by their names and first lines.
    list
        Lists the images as the interpretation says; classes and groups are completed afterwards.
    labels
        What its classes can be.
    recognised
        How it is recognised, for reports and the documentation.
    needs
        What a source in it must hold, or why it is refused.
    basis
        What determines classes, groups and splits, if that is the same for every source.
    """

    name: str
    recognise: Callable[[Found], bool]
    list: Callable[[Found, Interpretation], Listing]
    labels: tuple[str, ...]
    recognised: str
    needs: str
    basis: Basis = field(default_factory=Basis)


_EMOTIONS, _IDENTITIES, _NAMED = ("emotions",), ("identities",), ("emotions", "classes")
LAYOUTS = (
    Layout(
        "prepared",
        refused.is_prepared,
        refused.refuse_prepared,
        _ANY,
        "`set.json` and `manifest.csv` at the top",
        "refused: give the faces from which the set was made, or the LMDBs of one of its representations",
    ),
    Layout(
        "sfew-1.0",
        sfew.is_sfew1,
        sfew.refuse_sfew1,
        _ANY,
        "frames named as SFEW's, no folder that names a split, and 700 images or a table of LPQ or PHOG features",
        "refused: the paper's set is SFEW 2.0",
    ),
    Layout(
        "sfew",
        sfew.is_sfew,
        sfew.list_sfew,
        _EMOTIONS,
        "frames named as SFEW's (`<Movie>_<9 digits>_<8 digits>`) below folders or zips that name a split",
        "`Train`, `Val` and `Test`, or `Train_Aligned_Faces` and so on, with one folder per class except in Test",
        Basis(
            "folders named like an emotion; none in Test",
            "the movie, by the file's name",
            "folders or zips named Train, Val, Test",
        ),
    ),
    Layout(
        "sfew-csv",
        tables.is_repack,
        sfew.list_repack,
        _EMOTIONS,
        "`sfew_2.0_labels.csv`",
        "that table (`image_name,label,emotion,original_split`) next to `sfew2.0_images/`",
    ),
    Layout(
        "recordio",
        recordio.is_recordio,
        recordio.list_recordio,
        _IDENTITIES,
        "one `.rec` file",
        "the `.rec` and the `.idx` next to it; labels are people",
        Basis("the label of each record"),
    ),
    Layout(
        "lmdb",
        lmdb.is_lmdb,
        lmdb.list_lmdb,
        _ANY,
        "a `data.mdb`, or folders that hold one each",
        "Caffe's Datums; labels are people, or emotions with `--order`, which a prepared set contains; a "
        "folder such as `train_lmdb` names the split",
        Basis("the label of each Datum", splits="folders such as train_lmdb"),
    ),
    Layout(
        "fer2013",
        fer2013.is_fer2013,
        fer2013.list_fer2013,
        _EMOTIONS,
        "one CSV at the top with the columns `emotion`, `pixels` and, where the table has splits, `Usage`",
        "FER2013's numbers 0 to 6, square grey pictures, the words Training, PublicTest, PrivateTest",
        Basis("the column emotion", splits="the column Usage"),
    ),
    Layout(
        "ferplus",
        ferplus.is_ferplus,
        ferplus.list_ferplus,
        _NAMED,
        "`fer2013new.csv`, and no folder named like an emotion",
        "`fer2013.csv` next to it with the same number of rows, or the PNGs that it names",
        Basis("most votes of each row of fer2013new.csv", splits="the column Usage"),
    ),
    Layout(
        "raf-db",
        tables.is_raf_db,
        tables.list_raf_db,
        _EMOTIONS,
        "`EmoLabel/list_patition_label.txt`",
        "that list next to `Image/aligned/`; RAF-DB's numbers 1 to 7",
    ),
    Layout(
        "raf-db-kaggle",
        raf_db_kaggle.is_raf_db_kaggle,
        raf_db_kaggle.list_raf_db_kaggle,
        _EMOTIONS,
        "images such as `DATASET/train/1/train_00001_aligned.jpg`",
        "folders `train` and `test` with `1` to `7`; `train_labels.csv` and `test_labels.csv`, if present, must agree",
        Basis("folders named 1 to 7, in RAF-DB's order", splits="folders named train and test"),
    ),
    Layout(
        "affectnet",
        affectnet.is_affectnet,
        affectnet.list_affectnet,
        _NAMED,
        "a CSV with the columns `subDirectory_filePath` and `expression`, and no folder named like an emotion",
        "`training.csv`, `validation.csv` or one table at the top, and the images in any folder",
        Basis("the column expression, in AffectNet's order", splits="the tables' names"),
    ),
    Layout(
        "csv",
        tables.is_csv,
        tables.list_csv,
        _ANY,
        "one CSV or TSV at the top, or `metadata.csv` files, with a column of paths and one of labels or one per class",
        "paths relative to the table; classes by name, or numbers with `--order`; a column `split`, where there is "
        "one, says train, val or test, or names for `--splits`",
    ),
    Layout(
        "list",
        tables.is_list,
        tables.list_list,
        _ANY,
        "one `.txt`, `.lst` or `.list` at the top that begins with `path label`, or as im2rec or insightface write it",
        "one line per image, paths relative to the list; classes as in `csv`",
    ),
    Layout(
        "parquet",
        refused.is_parquet,
        refused.refuse_parquet,
        _ANY,
        "a `.parquet` file",
        "refused: write each row's image to a file `<label>/<row>.jpg`",
    ),
    Layout(
        "affectnet-npy",
        affectnet.is_affectnet_npy,
        affectnet.list_affectnet_npy,
        _NAMED,
        "files such as `annotations/<id>_exp.npy`, and no folder named like an emotion",
        "`images/<id>.jpg` for each; a folder around both, such as `train_set`, names the split",
        Basis("_exp.npy files, in AffectNet's order", splits="folders around images and annotations"),
    ),
    Layout(
        "ck+",
        ck_plus.is_ck_plus,
        ck_plus.list_ck_plus,
        _NAMED,
        "files such as `S005/001/S005_001_00000011_emotion.txt`, and no folder named like an emotion",
        "the frames of each labelled sequence, named `S005/001/S005_001_00000011.png`; the subject is the group",
        Basis("_emotion.txt files, in CK+'s order", "the subject, by the file's name"),
    ),
    Layout(
        "jaffe",
        named_files.is_jaffe,
        named_files.list_jaffe,
        _BOTH,
        "files such as `KA.AN1.39.tiff`, and no folder named like an emotion",
        "names of person, expression and number; the person is the group",
        Basis("the file's name", "the person, by the file's name"),
    ),
    Layout(
        "kdef",
        named_files.is_kdef,
        named_files.list_kdef,
        _BOTH,
        "files such as `AF01ANS.JPG`, and no folder named like an emotion",
        "names of session, person, expression and view; the person is the group",
        Basis("the file's name", "the person, by the file's name"),
    ),
    Layout(
        "folders",
        lambda found: True,
        folders.list_folders,
        _ANY,
        "what no other layout recognises",
        "`<class>/<image>`: folders named like emotions, or one folder per person; folders above named train, val or "
        "test; files named like FER2013's, such as `PublicTest_10116449.jpg`, give the official split",
    ),
)
"""The layouts. The first that recognises a source is used, so the most specific ones come first."""


_BY_NAME = {row.name: row for row in LAYOUTS}
_TABLES = ("csv", "list")  # the layouts of any table or list
_OWN_NAMES = (*_TABLES, "folders", "lmdb")  # whose classes may have any names


def list_images(source: Path, how: Interpretation, unpack: Unpack = refuse_to_unpack) -> Listing:
    """List the images of a source.

    Parameters
    ----------
    unpack
        Unpacks the files of an archive that need random access.

    Raises
    ------
    AmbiguousError
        If the source has several readings, and `how` does not say which is meant.
    EmotiwError
        If the source holds no image, cannot be read, or a path does not match `how.group`.
    UsageError
        If the layout does not have such labels, the source does not have a split that `how.splits` names, or an option
        does not fit the layout.
    """
    if how.layout is not None and how.layout not in _BY_NAME:
        raise UsageError(f"--layout {how.layout} is not one of {', '.join(_BY_NAME)}")
    row, found = _choose(look(source, unpack), how)
    if how.images is not None:
        if row.name not in _TABLES:
            raise UsageError(
                f"--images is for tables and lists, and {source} is in the layout {row.name}: leave it out"
            )
        found = replace(found, images=look(Path(how.images)))
    if how.first_neutral and row.name != "ck+":
        raise UsageError(f"--first-neutral is for CK+, and {source} is in the layout {row.name}: leave it out")
    _check_labels(source, row, how)
    listing = row.list(found, how)
    why = "--layout" if how.layout else "--table" if how.table else row.recognised
    listing = replace(listing, layout=row.name, basis=replace(listing.basis or row.basis, layout=why))
    if row.name in _TABLES:
        listing = compare_with_table(found, listing, how)
    if listing.order:
        listing = replace(listing, notes=(*listing.notes, f"labels are numbers: {listing.order}"))
    if how.drop_lfw:
        listing = without_lfw(listing, how.labels)
    if not listing.images:
        raise EmotiwError(f"{source} holds no image {_where(row, how.labels, listing)}{refused.hint(found)}")
    return choose(complete(listing, source, how), how.splits)


def _check_labels(source: Path, row: Layout, how: Interpretation) -> None:
    """Raise if a layout does not have such labels, or needs the names of the classes."""
    where = f"{source} is in the layout {row.name}"
    if how.labels == "classes" and row.labels[0] == "emotions" and "classes" not in row.labels:
        raise UsageError(
            f"{where}, whose classes are the seven emotions: give --labels emotions, or --layout folders if its "
            "folders are classes"
        )
    if how.labels not in row.labels:
        raise UsageError(f"{where}: give --labels {row.labels[0]}")
    if how.labels == "classes" and not how.classes.names and row.name not in _OWN_NAMES:
        raise UsageError(f"{where}, not all labels of which are expressions: name the classes with --classes")
    if how.class_column is not None and row.name != "csv":
        raise UsageError(f"--class-column is for tables, and {where}: leave it out")


def _choose(found: Found, how: Interpretation) -> tuple[Layout, Found]:
    """Return the layout of a source, and the source with the table that is used.

    Raises
    ------
    AmbiguousError
        If several tables may give the labels.
    """
    if how.table is not None:
        if how.table not in found.files:
            raise UsageError(f"--table {how.table}: {found.place} holds no such file")
        found = replace(found, table=how.table)
        if not how.layout and not any(_recognises(_BY_NAME[name], found, how) for name in _TABLES):
            raise EmotiwError(f"{found.where(how.table)} {not_understood(found.head(how.table))}")
    if how.layout:
        return _BY_NAME[how.layout], found
    tables = [how.table] if how.table else understood(found, how)
    for row in LAYOUTS:
        if row.name not in _TABLES:
            if not how.table and row.recognise(found):
                return row, found
            continue
        several = [table for table in tables if _recognises(row, replace(found, table=table), how)]
        if len(several) > 1:
            raise AmbiguousError(f"{found.place} holds several tables", [Reading(t, f"--table {t}") for t in several])
        if several:
            return row, replace(found, table=several[0])
        if not tables and _recognises(row, found, how):
            return row, found
    raise AssertionError("folders recognise everything")


def _recognises(row: Layout, found: Found, how: Interpretation) -> bool:
    """Return whether a source is in a layout; a table of the layout csv has the column that an option names."""
    return is_csv(found, how) if row.name == "csv" else row.recognise(found)


def _where(row: Layout, labels: str, listing: Listing) -> str:
    if row.name == "folders":
        return f"in a folder named like {_EXPECTED[labels]}"
    first = next((f": {path}: {reason}" for path, reason in listing.left_out.items()), "")
    return f"that can be used, as the layout {row.name}{first}"


_EXPECTED = {
    "emotions": "an emotion: " + ", ".join(EMOTIONS),
    "identities": "a person",
    "classes": "a class; a source without class folders needs a table",
}
