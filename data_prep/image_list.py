"""The list of a source's images with their classes, which every layout returns."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from posixpath import splitext

from emotiw.errors import UsageError
from emotiw.json_record import Count

from .archives.tree import Source
from .class_list import EMOTION_LIST, EVERY_NAME, ClassList, own_classes

# The endings of files that OpenCV reads.
_ENDINGS = frozenset(
    "bmp dib jpeg jpg jpe jfif jp2 png webp avif pbm pgm ppm pxm pnm pfm sr ras tiff tif exr hdr pic gif".split()
)
# A key of an LMDB holds 511 bytes: eight digits, an underscore and the path.
_LONGEST_PATH = 502
# The words for a split in names of folders and archives, and in tables, FER2013's included.
_SPLITS = {
    word: split
    for split, words in {
        "train": ("train", "training"),
        "val": ("val", "valid", "validation", "dev", "publictest"),
        "test": ("test", "testing", "eval", "privatetest"),
    }.items()
    for word in words
}
OFFICIAL = {"train": "train", "val": "validation", "test": "test"}
"""The name of the official split that usually is a set's train, val or test."""
NO_SPLIT = "images of no split"
"""The words for images without a split in a source that gives other images one."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a source.

    Attributes
    ----------
    path
        Relative to the source, with forward slashes.
    name
        Its class by name; empty if the source does not give it.
    label
        Its class by number; -1 until the classes are known, and if there is no name.
    split
        train, val or test; empty if the source does not say.
    group
        A person or a movie, for example, which must not be in two splits.
    official
        The source's own split: a layout gives the source's word, `official_splits.choose` replaces it by the name;
        empty if the source does not say.
    """

    path: str
    name: str
    label: int = -1
    split: str = ""
    group: str = ""
    official: str = ""


@dataclass(frozen=True)
class Official:
    """One of the source's own splits.

    Attributes
    ----------
    name
        train, validation or test if the word means one of them; the word itself if it means none of them, or if the
        source has several words for the same; empty for images without a split.
    word
        As the source writes it.
    images
        Its number of images.
    held
        How many of these each split of the set holds.
    """

    name: str
    word: str
    images: Count
    held: dict[str, Count] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The name with the source's word, if that is another, and the number of images."""
        if not self.name:
            return f"{self.images} {NO_SPLIT}"
        word = f"{self.word}, " if self.word.casefold() != self.name.casefold() else ""
        return f"{self.name} ({word}{self.images} images)"


@dataclass(frozen=True)
class Interpretation:
    """How to read a source, where the source itself does not determine it.

    Attributes
    ----------
    labels
        "emotions": classes are the seven, matched by name. "identities": every person is a class. "classes": the
        classes of `class_list`, or every name that the source gives.
    class_list
        Lines that define classes, as `class_list.own_classes` takes them.
    class_column
        Which column of a table is the class.
    group
        A regular expression searched in an image's path; its first group (or the whole match) names the image's group.
        None: what the layout or the file's name says; else every image is a group of its own.
    layout
        The name of a layout; None: the first that recognises the source.
    table
        The file of the source that says which image is what.
    order
        The classes of labels that are numbers, as `label_order.label_order` takes them.
    person_level
        Which folder of an image's path is the person, from 1, the first below the source.
    person_column
        Which column of a table is the person.
    images
        The folder that a table's paths are relative to; None: the table's own.
    first_neutral
        Whether the first frame of a labelled sequence of CK+ is used, too, as Neutral.
    drop_lfw
        Whether CASIA-WebFace's people who are in LFW are left out.
    splits
        Which of the source's own splits is which of the set's, such as `train=train,validation=test`; None: by the
        meaning of their words.
    """

    labels: str
    group: str | None = None
    class_list: tuple[str, ...] = ()
    class_column: str | None = None
    layout: str | None = None
    table: str | None = None
    order: str | None = None
    person_level: int | None = None
    person_column: str | None = None
    images: str | None = None
    first_neutral: bool = False
    drop_lfw: bool = False
    splits: str | None = None

    @cached_property
    def classes(self) -> ClassList:
        """The classes that names can mean."""
        if self.labels == "emotions":
            return EMOTION_LIST
        return own_classes(self.class_list) if self.class_list else EVERY_NAME

    @property
    def column(self) -> str | None:
        """The column of a table that an option names as the one of the labels."""
        return self.person_column or self.class_column


@dataclass(frozen=True)
class Reading:
    """One of several ways to read a source: its result in words, and the flags that choose it."""

    words: str
    flags: str


class AmbiguousError(UsageError):
    """A source has several readings, and nothing in it says which is meant."""

    def __init__(self, what: str, readings: Iterable[Reading]) -> None:
        super().__init__(f"{what}: {'; '.join(f'{one.words} ({one.flags})' for one in readings)}")


@dataclass(frozen=True)
class Basis:
    """What determines the layout of a source, and its images' classes, groups and splits; empty if nothing does."""

    labels: str = ""
    groups: str = ""
    splits: str = ""
    layout: str = ""


@dataclass(frozen=True)
class Listing:
    """The images of a source, and what was left out.

    Attributes
    ----------
    images
        In the order of their paths.
    source
        The source of their bytes.
    left_out
        Why a file cannot be used, by its path.
    unknown_classes
        The number of images under each name that is not a class.
    notes
        Notes for the user, one line each.
    classes
        The names of the classes in label order; empty until `complete`.
    layout
        The name of the layout.
    order
        The classes of the source's labels, if they are numbers; else empty.
    basis
        What determines classes, groups and splits; None if it is the same for every source of the layout.
    officials
        The source's own splits, including those that are left out; empty until `official_splits.choose`.
    """

    images: list[Image]
    source: Source
    left_out: dict[str, str] = field(default_factory=dict)
    unknown_classes: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    layout: str = ""
    order: str = ""
    basis: Basis | None = None
    officials: tuple[Official, ...] = ()


def unusable(path: str) -> str:
    """Return why a file cannot be an image of a set, by its path; empty if it can."""
    if splitext(path)[1].lower().lstrip(".") not in _ENDINGS:
        return "not the name of an image"
    if printable(path) != path:
        return "its name is not UTF-8"
    if len(path.encode()) > _LONGEST_PATH:
        return f"its path is longer than {_LONGEST_PATH} bytes"
    return ""


def printable(path: str) -> str:
    """Return the path as text, with bytes that are not UTF-8 replaced."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def split_of(folders: Iterable[str]) -> str:
    """Return the split that the first word of one of these folders means, the first that means one; else empty.

    Only the first word counts, since SFEW's folders are Train_Aligned_Faces and Val_Aligned_Faces_new.
    """
    return split_meant(word_of(folders))


def split_named(folders: Iterable[str]) -> str:
    """Return the split that the whole name of one of these folders means, the first that means one; else empty."""
    return split_meant(word_named(folders))


def word_of(folders: Iterable[str]) -> str:
    """Return the word, as it is written, that names the split for `split_of`; else empty."""
    return next((word for folder in folders if split_meant(word := re.split(r"[\W_]", folder)[0])), "")


def word_named(folders: Iterable[str]) -> str:
    """Return the folder, as it is written, that names the split for `split_named`; else empty."""
    return next((folder for folder in folders if split_meant(folder)), "")


def split_meant(word: str) -> str:
    """Return the split that a word means, train, val or test; else empty."""
    return _SPLITS.get(word.lower(), "")
