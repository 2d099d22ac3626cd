"""Layouts `csv`, `list`, `sfew-csv` and `raf-db`: a table gives the class of each image.

`csv` has named columns, such as `path,label`, separated by commas, semicolons or tabs; instead of a column of labels it
may have one per class. Hugging Face's `metadata.csv`, one beside the images of each split, is read the same way. `list`
has lines `path label`, as `convert_imageset` takes them, or those of record tools: im2rec's `index<TAB>label<TAB>path`,
insightface's `flag<TAB>path<TAB>label` (both as we know them, not verified on an original file). Paths are relative to
the table.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

from emotiw.data_prep.archives.tree import Folder, Found, folder_of
from emotiw.data_prep.image_list import Basis, Image, Interpretation, Listing, printable, split_of, unusable, word_of
from emotiw.data_prep.label_order import ORDERS, LabelOrder, label_order, number_in, which_order
from emotiw.errors import EmotiwError

from .columns import Columns, columns_of, label_column
from .votes import NoClassError, majority

_REPACK, _REPACK_IMAGES = "sfew_2.0_labels.csv", "sfew2.0_images"
_RAF_DB = "emolabel/list_patition_label.txt"
_METADATA = "metadata.csv"
_LISTS = (".txt", ".lst", ".list")
_BLANK = ' \t\r\n,;"'


class Row(NamedTuple):
    """A row of a table.

    Attributes
    ----------
    path
        As it is written.
    label, split
        As they are written; empty if the table does not have them.
    reason
        Why the image cannot be used; empty if it can.
    """

    path: str
    label: str
    split: str = ""
    reason: str = ""


class Table(NamedTuple):
    """A table's rows, and what in it gives the classes and the splits, in words."""

    rows: list[Row]
    labels: str
    splits: str = ""


def is_csv(found: Found, how: Interpretation | None = None) -> bool:
    """Return whether the CSV at the top, or each metadata.csv, has a column of paths and one of labels.

    Parameters
    ----------
    how
        May name the classes or the column of labels.
    """
    heads = [found.head(table) for table in _tables(found)]
    kinds = [how] if how and how.column else [Interpretation("emotions"), Interpretation("identities"), how]
    return bool(heads) and any(all(_gives_labels(head, kind) for head in heads) for kind in kinds if kind)


def _gives_labels(head: str, how: Interpretation) -> bool:
    columns = columns_of(head, replace(how, class_column=None, person_column=None))
    return columns.understood if how.column is None else columns.path is not None and how.column in columns.names


def is_repack(found: Found) -> bool:
    """Return whether the source is SFEW 2.0's repack."""
    return found.only(_REPACK) is not None


def is_list(found: Found) -> bool:
    """Return whether the only list at the top begins with `path label`, or as the lists of record tools do."""
    row = _row_of_list(found.head(found.only(*_LISTS, top=True)))
    return row is not None and not unusable(row.path)


def understood(found: Found, how: Interpretation) -> list[str]:
    """Return the tables and lists at the top that give labels of the wanted kind."""
    top = [path for path in found.files if folder_of(path) == found.top]
    tables = [path for path in top if path.lower().endswith((".csv", ".tsv"))]
    lists = [path for path in top if path.lower().endswith(_LISTS)]
    return [path for path in tables if _gives_labels(found.head(path), how)] + [
        path for path in lists if is_list(replace(found, table=path))
    ]


def named_paths(found: Found, how: Interpretation) -> set[str]:
    """Return the paths in a source that its tables name."""
    tables = {
        table: _lines(found, table) if is_list(found) else _csv_table(found, table, how) for table in _tables(found)
    }
    paths = (_beside(found, table, row.path) for table, read in tables.items() for row in read.rows)
    return {path for path in paths if path is not None}


def is_raf_db(found: Found) -> bool:
    """Return whether the source is RAF-DB's basic set."""
    return found.only(_RAF_DB) is not None


def list_csv(found: Found, how: Interpretation) -> Listing:
    """List the images of a CSV with named columns, or of every metadata.csv."""
    tables = _tables(found) or [_named(found, ".csv", top=True)]
    return _list(found, {table: _in_split(found, table, how) for table in tables}, how)


def list_repack_rows(found: Found, how: Interpretation) -> Listing:
    """List the images of SFEW 2.0's repack; its test split may have no labels."""
    table = _named(found, _REPACK)
    read = _csv_table(found, table, how)
    rows = [row._replace(path=f"{_REPACK_IMAGES}/{row.path}") for row in read.rows]
    return _list(found, {table: read._replace(rows=rows)}, how)


def list_list(found: Found, how: Interpretation) -> Listing:
    """List the images of a list file."""
    table = _named(found, *_LISTS, top=True)
    return _list(found, {table: _lines(found, table)}, how)


def list_raf_db(found: Found, how: Interpretation) -> Listing:
    """List RAF-DB's aligned faces; their classes are numbered from 1 in RAF-DB's own order."""
    table, order = _named(found, _RAF_DB), ORDERS["raf-db"]

    def rows() -> Iterator[Row]:
        for row in _lines(found, table).rows:
            number = number_in(row.label)
            if number is None or number not in order.numbers:
                raise EmotiwError(f"{found.where(table)}: {row.path}: label {row.label[:20]!r} is not one of {order}")
            path = f"../Image/aligned/{PurePosixPath(row.path).stem}_aligned.jpg"
            yield Row(path, order.class_of(number), row.path.partition("_")[0])

    return _list(found, {table: Table([*rows()], "its labels, in RAF-DB's order", "its names' first word")}, how)


def _named(found: Found, *endings: str, top: bool = False) -> str:
    name = found.only(*endings, top=top)
    if name is None:
        raise EmotiwError(f"{found.place} does not hold one file named *{endings[0]}: give that file itself")
    return name


def _tables(found: Found) -> list[str]:
    """Return the table that was chosen, the only CSV at the top, else every metadata.csv."""
    table = found.table or found.only(".csv", top=True) or found.only(".tsv", top=True)
    return [table] if table else [path for path in found.files if path.rpartition("/")[2].lower() == _METADATA]


def _in_split(found: Found, table: str, how: Interpretation) -> Table:
    """Return a table; the rows of a metadata.csv are in the split that its folders name."""
    *folders, name = PurePosixPath(table).parts
    word = word_of(folders) if name.lower() == _METADATA else ""
    read = _csv_table(found, table, how)
    if not word:
        return read
    rows = [row if row.split else row._replace(split=word) for row in read.rows]
    return read._replace(rows=rows, splits=read.splits or "the folders of the tables")


def _csv_table(found: Found, table: str, how: Interpretation) -> Table:
    columns = columns_of(found.head(table), how)
    if not columns.understood:
        names = ", ".join(columns.names)[:200]
        raise EmotiwError(f"{found.where(table)} has the columns {names}: it needs path and label")
    rows = []
    try:
        for row in list(csv.reader(io.StringIO(found.text(table)), delimiter=columns.separator))[1:]:
            if len(row) == len(columns.names) and any(map(str.strip, row)):
                rows.append(row)
            elif any(map(str.strip, row)):
                said = f"has a row of {len(row)} columns, not {len(columns.names)}: correct the table"
                raise EmotiwError(f"{found.where(table)} {said}")
    except csv.Error as error:
        raise EmotiwError(f"{found.where(table)} is not a valid CSV: {error}") from None
    label = label_column(columns, rows, how, found.where(table)) if columns.labels else None
    labels = f"the column {columns.names[label]}" if label is not None else "one column for each class"
    splits = f"the column {columns.names[columns.split]}" if columns.split is not None else ""
    return Table([_row(found.where(table), columns, label, row) for row in rows], labels, splits)


def _row(where: str, columns: Columns, at: int | None, row: list[str]) -> Row:
    """Parse a row; its label is in the column `at`, or, if that is None, given by the columns of classes."""
    path, label, reason = row[columns.path or 0], "", ""
    if at is not None:
        label = row[at].strip()
    else:
        try:
            label = majority({name: row[index] for index, name in columns.classes.items()})
        except NoClassError as error:
            reason = str(error)
        except EmotiwError as error:
            raise EmotiwError(f"{where}: {path[:80]}: {error}") from None
    return Row(path, label, row[columns.split].strip() if columns.split is not None else "", reason)


def _lines(found: Found, table: str) -> Table:
    rows = []
    for number, line in enumerate(found.text(table).splitlines(), 1):
        if line.strip(_BLANK):
            row = _row_of_list(line)
            if row is None:
                raise EmotiwError(f"{found.where(table)}, line {number} is not `path label`: {line[:80]!r}")
            rows.append(row)
    return Table(rows, "the label of each line")


def _row_of_list(line: str) -> Row | None:
    r"""Parse a line of a list; return None if it is not one.

    Examples
    --------
    >>> _row_of_list("a b.png 3").path, _row_of_list("7\t3.000000\ta b.png").label
    ('a b.png', '3')
    """
    fields = line.strip().split("\t")
    if len(fields) == 3 and number_in(fields[0]) is not None and number_in(fields[1]) is not None:
        return Row(fields[2], _whole(fields[1]))  # im2rec's
    if len(fields) >= 3 and fields[0] in ("0", "1") and number_in(fields[2]) is not None:
        return Row(fields[1], _whole(fields[2]))  # insightface's: a flag first, and perhaps landmarks last
    words = line.rsplit(maxsplit=1)
    return Row(*words) if len(words) == 2 else None


def _whole(label: str) -> str:
    """Return a label of a record tool, which may write it with decimals."""
    return str(number_in(label)) if "." in label else label


def _list(found: Found, tables: Mapping[str, Table], how: Interpretation) -> Listing:
    rows = [(table, row) for table, read in tables.items() for row in read.rows]
    order = _order(found.where(next(iter(tables))), [row.label for _, row in rows], how)
    images: dict[str, Image] = {}
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for table, row in rows:
        path, where = _beside(found, table, row.path), f"{found.where(table)}: {row.path}"
        split = split_of((row.split,))
        unlabelled = split == "test" and row.label in ("", "-1")
        name = None if unlabelled else _name(row.label, order, where, how)
        if not row.split.isprintable():
            raise EmotiwError(f"{where}: split {row.split[:40]!r} is not a name: correct it")
        if row.split and not split and not how.splits:
            said = f"split {row.split[:40]!r} is not one of train, val, test"
            raise EmotiwError(f"{where}: {said}: correct it, or say by --splits which it is")
        if reason := "is outside the source" if path is None else unusable(path) or row.reason:
            left_out[printable(path or row.path)] = reason
        elif path in images:
            left_out[f"{path} (again)"] = "is listed twice"
        elif name is None and not unlabelled:
            unknown[row.label] += 1
        else:
            images[str(path)] = Image(str(path), name or "", split=split, official=row.split)
    listed = sorted(images.values(), key=lambda image: image.path)
    tree = (found.images or found).tree
    return Listing(listed, tree, left_out, unknown, order=str(order or ""), basis=_basis(tables))


def _basis(tables: Mapping[str, Table]) -> Basis:
    """Return the basis of the first table; several `metadata.csv` have the same."""
    table, read = next(iter(tables.items()))
    others = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
    return Basis(f"{read.labels}, in {table}{others}", splits=read.splits)


def _order(where: str, labels: Sequence[str], how: Interpretation) -> LabelOrder | None:
    """Return the order of labels that are numbers; None if they are names or people."""
    digits = {label for label in labels if _is_digits(label)}
    if how.labels == "identities" or not digits:
        return None
    if how.order:
        return label_order(how.order, how.classes)
    if numbers := {number_in(label) for label in digits if not how.classes.named(label)} - {None}:
        raise which_order(where, (number for number in numbers if number is not None))
    return None


def _is_digits(label: str) -> bool:
    return label.isascii() and label.isdigit()


def _name(label: str, order: LabelOrder | None, where: str, how: Interpretation) -> str | None:
    """Return the person or the class that a table's label means; None if it means none."""
    if how.labels == "identities":
        return (label.zfill(5) if _is_digits(label) else label) or None
    if not _is_digits(label) or order is None:
        return how.classes.named(label)
    number = number_in(label)
    if number is None or number not in order.numbers:
        raise EmotiwError(f"{where}: label {label[:20]} is not in the order {order.name}: {order}")
    return how.classes.named(order.class_of(number))


def _beside(found: Found, table: str, written: str) -> str | None:
    """Return a path in a table as a path in the tree of images; None if it leads out of the tree."""
    path, tree = PurePosixPath(written.strip().replace("\\", "/")), (found.images or found).tree
    if path.is_absolute() and isinstance(tree, Folder):
        root = PurePosixPath(tree.root.absolute())
        return str(path.relative_to(root)) if path.is_relative_to(root) and ".." not in path.parts else None
    parts: list[str] = [] if found.images else list(PurePosixPath(table).parent.parts)
    for part in path.parts:
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) if not path.is_absolute() else None
