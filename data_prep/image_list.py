"""The list of a source's images with their classes: what every layout makes."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from emotiw.errors import EmotiwError, UsageError

from .archives.tree import Source
from .emotions import EMOTIONS

# What OpenCV reads, by the ending of the name.
_ENDINGS = frozenset(
    "bmp dib jpeg jpg jpe jfif jp2 png webp avif pbm pgm ppm pxm pnm pfm sr ras tiff tif exr hdr pic gif".split()
)
# A key of an LMDB holds 511 bytes: eight digits, an underscore and the path.
_LONGEST_PATH = 502
# By the first word of a folder's name, since SFEW's folders are Train_Aligned_Faces and Val_Aligned_Faces_new.
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a source.

    Attributes
    ----------
    path
        Relative to the source, with forward slashes.
    name
        Its class by name; empty where the source does not tell it.
    label
        Its class by number; -1 until the classes are known, and for ever where there is no name.
    split
        train, val or test; empty where the source does not say.
    group
        What must not be on two sides of a split: a person, a movie.
    """

    path: str
    name: str
    label: int = -1
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Listing:
    """What a source holds.

    Attributes
    ----------
    images
        By path.
    source
        What hands out their bytes.
    left_out
        What cannot be used, by path, and why.
    unknown_classes
        How many images lie under names that are none of the classes.
    notes
        What a user should know of the source, a line each.
    classes
        Their names in label order; empty until `complete`.
    layout
        The name of the layout.
    """

    images: list[Image]
    source: Source
    left_out: dict[str, str] = field(default_factory=dict)
    unknown_classes: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    layout: str = ""


def complete(listing: Listing, labels: str, group: str | None) -> Listing:
    """Return the listing with its classes, labels and groups.

    Parameters
    ----------
    group
        A regular expression searched in an image's path; its first group (or the whole match) names the image's group.
        None: what the layout says; else every image is a group of its own.
    """
    names = {image.name for image in listing.images} - {""}
    classes = EMOTIONS if labels == "emotions" else tuple(sorted(names))
    numbers = {name: number for number, name in enumerate(classes)} | {"": -1}
    pattern = _pattern(group)
    images = [
        replace(
            image,
            label=numbers[image.name],
            group=_group_of(image.path, pattern) if pattern else image.group or image.path,
        )
        for image in listing.images
    ]
    return replace(listing, images=images, classes=classes)


def unusable(path: str) -> str:
    """Return why a file cannot be an image of a set, by its path; nothing where it can."""
    if PurePosixPath(path).suffix.lower().lstrip(".") not in _ENDINGS:
        return "not the name of an image"
    if printable(path) != path:
        return "its name is not UTF-8"
    if len(path.encode()) > _LONGEST_PATH:
        return f"its path is longer than {_LONGEST_PATH} bytes"
    return ""


def printable(path: str) -> str:
    """Return the path as text, whatever its bytes are."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def split_of(folders: Iterable[str]) -> str:
    """Return the split that the first of these folders to do so names, by its first word; or nothing."""
    words = (re.split(r"[\W_]", folder.lower())[0] for folder in folders)
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")


def _pattern(group: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(group) if group else None
    except re.error as error:
        raise UsageError(f"--group {group!r} is no regular expression: {error}") from None


def _group_of(path: str, pattern: re.Pattern[str]) -> str:
    match = pattern.search(path)
    group = match and match[1 if pattern.groups else 0]
    if not group:
        raise EmotiwError(f"{path} does not match --group {pattern.pattern!r}: every image needs its group")
    return group
