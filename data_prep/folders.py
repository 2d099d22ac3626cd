"""A folder tree `<class>/<image>` -> the list of its images with their classes."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emotiw.errors import EmotiwError, UsageError

from .emotions import EMOTIONS, emotion_named

# What OpenCV reads, by the ending of the name.
_ENDINGS = frozenset(
    "bmp dib jpeg jpg jpe jp2 png webp avif pbm pgm ppm pxm pnm pfm sr ras tiff tif exr hdr pic gif".split()
)
# A key of an LMDB holds 511 bytes: eight digits, an underscore and the path.
_LONGEST_PATH = 502
# By the first word of a folder's name, since SFEW's folders are Train_Aligned_Faces and Val_Aligned_Faces_new.
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Image:
    """One image of a source.

    Attributes
    ----------
    path
        Relative to the source, with forward slashes.
    name
        Its class by name.
    label
        Its class by number; -1 until the classes are known.
    split
        train, val or test; empty where the source's folders do not say.
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
    """What a source holds: its images by path, its classes in label order, and what was left out and why."""

    images: list[Image]
    classes: tuple[str, ...]
    left_out: dict[str, str]
    unknown_classes: Counter[str]


def list_images(source: Path, labels: str, group: str | None = None) -> Listing:
    """List the images below `source`.

    Parameters
    ----------
    labels
        "emotions": an image's class is the nearest folder above it named like one of the seven; images under other
        names are left out and counted. "identities": its class is the folder it lies in. Folders above it whose names
        begin with the word train, val or test (or training, valid, validation) name its split.
    group
        A regular expression searched in the relative path; its first group (or the whole match) names the image's
        group. None: every image is a group of its own.

    Raises
    ------
    EmotiwError
        Where the source is no folder, holds no image, or a path does not match `group`.
    """
    if not source.is_dir():
        raise EmotiwError(f"{source} is no folder: give the folder that holds <class>/<image>")
    images: list[Image] = []
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for path in _files(source):
        name = _class_of(path, labels)
        if path.suffix.lower().lstrip(".") not in _ENDINGS:
            left_out[_printable(path)] = "not the name of an image"
        elif _printable(path) != str(path):
            left_out[_printable(path)] = "its name is not UTF-8"
        elif len(str(path).encode()) > _LONGEST_PATH:
            left_out[str(path)] = f"its path is longer than {_LONGEST_PATH} bytes"
        elif name is None:
            unknown[path.parent.name] += 1
        else:
            above = path.parts[: -2 if labels == "identities" else -1]  # somebody may be called Test
            images.append(Image(str(path), name, split=_split_of(above)))
    if not images:
        raise EmotiwError(f"{source} holds no image in a folder named like {_expected(labels)}")
    classes = EMOTIONS if labels == "emotions" else tuple(sorted({image.name for image in images}))
    numbers = {name: number for number, name in enumerate(classes)}
    pattern = _pattern(group)
    images = [
        replace(image, label=numbers[image.name], group=_group_of(image.path, pattern) if pattern else image.path)
        for image in images
    ]
    return Listing(images, classes, left_out, unknown)


def _files(source: Path) -> Iterator[PurePosixPath]:
    """Yield every visible file below `source`, relative, in one order on every machine; links are followed."""
    found = []
    for folder, folders, files in os.walk(source, followlinks=True):
        here = Path(folder).resolve()
        folders[:] = [
            # A link to a folder that holds it would be followed for ever.
            name
            for name in folders
            if not name.startswith(".") and not here.is_relative_to((here / name).resolve())
        ]
        relative = Path(folder).relative_to(source)
        found += [PurePosixPath(relative / name) for name in files if not name.startswith(".")]
    yield from sorted(found, key=str)


def _class_of(path: PurePosixPath, labels: str) -> str | None:
    if labels == "identities":
        return path.parent.name or None
    return next((emotion for folder in reversed(path.parts[:-1]) if (emotion := emotion_named(folder))), None)


def _split_of(folders: Iterable[str]) -> str:
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


def _expected(labels: str) -> str:
    return "an emotion: " + ", ".join(EMOTIONS) if labels == "emotions" else "a person"


def _printable(path: PurePosixPath) -> str:
    return str(path).encode(errors="surrogateescape").decode(errors="replace")
