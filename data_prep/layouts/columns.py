"""Find the columns of a table that hold an image's path, its class and its split."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from emotiw.data_prep.class_list import is_number
from emotiw.data_prep.emotions import emotion_named
from emotiw.data_prep.image_list import AmbiguousError, Interpretation, Reading
from emotiw.errors import EmotiwError, UsageError

# Names without blanks, hyphens and underscores, in lower case; for paths and splits, the first in a table is used.
_PATHS = (
    *("path", "image", "imagename", "file", "filename", "name"),
    *("imagepath", "imgpath", "filepath", "imageid", "img", "pth"),
)
_LABELS = {
    "emotions": ("emotion", "expression", "label", "class", "labels", "classname"),
    "identities": ("identity", "person", "id", "label", "class", "labels", "classname"),
    "classes": ("class", "label", "emotion", "expression", "labels", "classname"),
}
_SPLITS = ("split", "originalsplit", "usage")
# Columns of one-hot tables and of votes that are not of the seven emotions.
_OTHER_CLASSES = frozenset({"contempt", "unknown", "nf", "none", "other", "others", "uncertain", "unsure", "noface"})
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes
    ----------
    names
        As they are written.
    separator
        The character between two columns.
    path
        Index of the column of paths; None if there is none.
    labels
        Indices of the columns that may hold labels.
    split
        Index of the column of splits; None if there is none.
    classes
        If there is no column of labels: the name of each column that stands for a class, by its index.
    """

    names: list[str]
    separator: str
    path: int | None
    labels: tuple[int, ...]
    split: int | None
    classes: dict[int, str] = field(default_factory=dict)

    @property
    def understood(self) -> bool:
        """Whether the table gives the class of each image."""
        return self.path is not None and bool(self.labels or self.classes)


def columns_of(header: str, how: Interpretation) -> Columns:
    """Return the columns of a table by its first line.

    Raises
    ------
    UsageError
        If it lacks the column `how.column`.
    """
    separator = max(_SEPARATORS, key=header.count)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error:
        names = []
    folded = [re.sub(r"[\s_-]+", "", name.lower()) for name in names]
    path, split = (_first(known, folded) for known in (_PATHS, _SPLITS))
    labels = tuple(index for index, name in enumerate(folded) if name in _LABELS[how.labels] and index != path)
    if how.column:
        if how.column not in names:
            flag = "--person-column" if how.person_column else "--class-column"
            raise UsageError(f"{flag} {how.column}: the table has {', '.join(names)[:200]}")
        labels = (names.index(how.column),)
    classes = _classes(names, folded, how) if how.labels != "identities" and not labels else {}
    return Columns(names, separator, path, labels, split, classes)


def label_column(columns: Columns, rows: Sequence[Sequence[str]], how: Interpretation, where: str) -> int:
    """Return the column that holds the labels.

    For emotions, and classes with names that are given, a column of names is preferred to one of numbers, which every
    data set counts differently. For people, it is the column in which several images share a value.

    Raises
    ------
    AmbiguousError
        If several columns, or none, may be the person or the class.
    EmotiwError
        If columns of emotions contradict each other.
    """
    if how.column:
        return columns.labels[0]
    if how.classes.names:
        return _column_of_classes(columns, rows, where, how.classes.named)
    return _column_of_people(columns, rows, where) if how.labels == "identities" else _only(columns, rows, where)


def _only(columns: Columns, rows: Sequence[Sequence[str]], where: str) -> int:
    """Return the column of classes whose names are not known: the first with names, if all divide the images alike."""
    partitions = {_codes(row[index].strip() for row in rows) for index in columns.labels}
    if len(partitions) > 1:
        readings = [
            Reading(f"{len({row[index] for row in rows})} classes by {name}", f"--class-column {name}")
            for index in columns.labels
            for name in (columns.names[index],)
        ]
        raise AmbiguousError(f"{where}: which column is the class?", readings)
    return min(columns.labels, key=lambda index: all(is_number(row[index]) for row in rows))


def _column_of_classes(
    columns: Columns, rows: Sequence[Sequence[str]], where: str, class_named: Callable[[str], str | None]
) -> int:
    named = [index for index in columns.labels if any(class_named(row[index]) for row in rows)]
    chosen = (named or columns.labels)[0]
    for other in columns.labels:
        meaning: dict[str, str] = {}  # of each value of the other column that is not a name, the class beside it
        for row in rows if named and other != chosen else ():
            label = class_named(row[chosen])
            said = class_named(row[other]) or meaning.setdefault(row[other].strip(), label or "")
            if label and said and said != label:
                names = f"{columns.names[chosen]} and {columns.names[other]}"
                raise EmotiwError(
                    f"{where}: the columns {names} contradict each other, as in {','.join(row)[:80]!r}: correct the "
                    "table, or leave one of them out"
                )
    return chosen


def _column_of_people(columns: Columns, rows: Sequence[Sequence[str]], where: str) -> int:
    people = {index: Counter(row[index].strip() for row in rows) for index in columns.labels}
    fitting = [index for index, found in people.items() if len(found) > 1 and max(found.values()) > 1]
    partitions = {_codes(row[index].strip() for row in rows) for index in fitting}
    if len(partitions) == 1:
        return fitting[0]
    names = ", ".join(columns.names)[:200]
    if not fitting:
        tried = ", ".join(columns.names[index] for index in columns.labels)
        raise AmbiguousError(
            f"{where}: no column ({tried}) divides the images into groups; which column is the person?",
            [Reading(f"one of {names}", "--person-column NAME")],
        )
    readings = [
        Reading(f"{len(people[index])} people by {columns.names[index]}", f"--person-column {columns.names[index]}")
        for index in fitting
    ]
    raise AmbiguousError(f"{where}: which column is the person?", readings)


def _codes(values: Iterable[str]) -> tuple[int, ...]:
    """Return the values numbered in order of appearance; columns with equal results group the rows alike."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(value, len(numbers)) for value in values)


def _first(known: tuple[str, ...], folded: list[str]) -> int | None:
    return next((folded.index(name) for name in known if name in folded), None)


def _classes(names: list[str], folded: list[str], how: Interpretation) -> dict[int, str]:
    """Return the columns that are named like classes, if two or more are named like emotions or given classes."""
    named = how.classes.named if how.classes.names else emotion_named
    found = {index: name for index, name in enumerate(names) if named(name) or emotion_named(name)}
    others = {index: names[index] for index, name in enumerate(folded) if name in _OTHER_CLASSES}
    return found | others if len({named(name) for name in found.values()} - {None}) > 1 else {}


def not_understood(header: str) -> str:
    """Return the columns of a table that gives no classes, and those that it needs, to follow its name in a message."""
    names = ", ".join(columns_of(header, Interpretation("emotions")).names)[:200]
    return (
        f"has the columns {names}: a table needs one of paths ({', '.join(_PATHS[:6])} ...) and one of labels "
        f"({', '.join(_LABELS['emotions'][:4])} ...), or one for each class"
    )
