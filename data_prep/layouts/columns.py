"""Which columns of a table say an image's path, its class and its split."""

import csv
import re
from dataclasses import dataclass, field

from emotiw.data_prep.emotions import emotion_named

# Names without blanks, hyphens and underscores, in lower case; the first that a table has counts.
_PATHS = (
    *("path", "image", "imagename", "file", "filename", "name"),
    *("imagepath", "imgpath", "filepath", "imageid", "img", "pth"),
)
# A name says more than a number, whose meaning differs from set to set.
_LABELS = {
    "emotions": ("emotion", "expression", "label", "class", "labels", "classname"),
    "identities": ("identity", "person", "id", "label", "class", "labels", "classname"),
}
_SPLITS = ("split", "originalsplit", "usage")
# Columns of one-hot tables and of votes that are none of the seven.
_OTHER_CLASSES = frozenset({"contempt", "unknown", "nf", "none", "other", "others", "uncertain", "unsure", "noface"})
# What was read before there were more names: such a table decides even where folders are named like emotions.
_PLAIN_PATHS = frozenset({"path", "image", "image_name", "file", "filename", "name"})
_PLAIN_LABELS = frozenset({"emotion", "expression", "label", "class", "identity", "person", "id"})

_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes
    ----------
    names
        As they are written.
    separator
        What stands between two columns.
    path
        Index of the column of paths; None where there is none.
    label
        Index of the column of labels; None where there is none.
    split
        Index of the column of splits; None where there is none.
    classes
        Where there is no column of labels: the name of each column that counts for a class, by its index.
    """

    names: list[str]
    separator: str
    path: int | None
    label: int | None
    split: int | None
    classes: dict[int, str] = field(default_factory=dict)

    @property
    def understood(self) -> bool:
        """Whether the table says which image is of which class."""
        return self.path is not None and (self.label is not None or bool(self.classes))

    @property
    def plain(self) -> bool:
        """Whether the table is one of the plainest: commas, and the most usual names."""
        names = {name.lower() for name in self.names}
        return self.separator == "," and not names.isdisjoint(_PLAIN_PATHS) and not names.isdisjoint(_PLAIN_LABELS)


def columns_of(header: str, labels: str) -> Columns:
    """Return the columns of a table by its first line."""
    separator = max(_SEPARATORS, key=header.count)
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error:
        names = []
    folded = [re.sub(r"[\s_-]+", "", name.lower()) for name in names]
    path, label, split = (_first(known, folded) for known in (_PATHS, _LABELS[labels], _SPLITS))
    classes = _classes(names, folded) if labels == "emotions" and label is None else {}
    return Columns(names, separator, path, label, split, classes)


def _first(known: tuple[str, ...], folded: list[str]) -> int | None:
    return next((folded.index(name) for name in known if name in folded), None)


def _classes(names: list[str], folded: list[str]) -> dict[int, str]:
    """Return the columns that are named like classes, where two or more are named like emotions."""
    emotions = {index: name for index, name in enumerate(names) if emotion_named(name)}
    others = {index: names[index] for index, name in enumerate(folded) if name in _OTHER_CLASSES}
    return emotions | others if len({emotion_named(name) for name in emotions.values()}) > 1 else {}
