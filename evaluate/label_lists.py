"""Lists of lines `<name> <label>`, the challenge's format, for predictions and for true labels."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.class_list import ClassList, is_number
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.image_list import unusable
from emotiw.errors import EmotiwError
from emotiw.files import read_text

from .scores import Scores

Labels = NDArray[np.int64]
Spelling = Callable[[str], str]


def predictions_text(scores: Scores) -> str:
    """Return one line per image: its file's name, and the name of the predicted class.

    If two images have the same name, suffixes apart, each line has the image's whole path instead.
    """
    names = [PurePosixPath(path).name for path in scores.paths]
    if len(set(map(_bare, names))) < len(names):
        names = list(scores.paths)
    named = (scores.classes[label] for label in scores.predictions)
    return "".join(f"{name} {label}\n" for name, label in zip(names, named, strict=True))


def format_note(classes: Sequence[str]) -> str:
    """Return a note for the path of a list of predictions that cannot be submitted; empty for the seven emotions."""
    return "" if tuple(classes) == EMOTIONS else " (not in EmotiW's submission format, which needs the seven emotions)"


def true_labels(paths: Sequence[str], classes: ClassList, where: Path, known: Sequence[int] | None = None) -> Labels:
    """Return the (N,) labels of images from the file `where`, and from the set itself.

    A line's name is an image's path, or its last parts, with or without the suffix; its label is a class's name, also
    as other sets spell it, or its number, unless a class has a number as its name. Names that match no image are
    ignored.

    Parameters
    ----------
    known : (N,) int, optional
        The set's own labels, -1 for images without one.

    Raises
    ------
    EmotiwError
        If a line has another format or matches several images, or if an image occurs twice, has no label at all, or has
        another label in the set.
    """
    labels = np.full(len(paths), -1, np.int64)
    matcher = _Matcher(paths)
    seen: dict[int | str, int] = {}
    for number, readings in read_list(where, classes):
        found = [(image, label) for name, label in readings for image in matcher.images(name)]
        named = list(dict.fromkeys(paths[image] for image, _ in found))
        if len(found) > 1:
            meant = f"{named[0]} and {named[1]}" if len(named) > 1 else f"{named[0]} with several labels"
            raise EmotiwError(f"{where}, line {number}: it means {meant}: give more of the path")
        which: int | str = found[0][0] if found else _bare(readings[0][0])
        if which in seen:
            raise EmotiwError(
                f"{where}, line {number}: {named[0] if named else which} occurs twice (line {seen[which]}): give each "
                "image one label"
            )
        seen[which] = number
        for image, label in found:
            labels[image] = label
    own = np.full(len(paths), -1, np.int64) if known is None else np.asarray(known, np.int64)
    if len(unlike := np.flatnonzero((own >= 0) & (labels >= 0) & (own != labels))):
        first = unlike[0]
        example = f"such as {paths[first]} ({classes.names[labels[first]]}, in the set {classes.names[own[first]]})"
        raise EmotiwError(f"{where} contradicts the set's own labels of {len(unlike)} images, {example}")
    labels = np.where(labels >= 0, labels, own)
    if len(missing := np.flatnonzero(labels < 0)):
        raise EmotiwError(f"{where} has no label for {len(missing)} of the images, such as {paths[missing[0]]}")
    return labels


def read_list(where: Path, classes: ClassList) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    """Yield the number of each line, and its readings as (name, label): class names may contain blanks.

    Raises
    ------
    EmotiwError
        If a line has another format, or its label is not one of the classes.
    """
    lines = read_text(where).split("\n")
    known = {name: number for number, name in enumerate(classes.names)}
    if not any(map(is_number, classes.names)):
        known |= {str(number): number for number in range(len(classes.names))}
    for number, line in enumerate(lines, 1):
        words = line.strip().split(" ")
        halves = [(" ".join(words[:k]).strip(), " ".join(words[k:]).strip()) for k in range(1, len(words))]
        labelled = [(name, known.get(label, known.get(classes.named(label) or ""))) for name, label in halves]
        readings = [(name, label) for name, label in labelled if name and label is not None]
        if readings:
            yield number, readings
        elif line.strip():
            raise EmotiwError(f"{where}, line {number}: give <name> <label>, the label one of {classes}")


def _bare(name: str) -> str:
    """Return a path without an image file's suffix."""
    return name if unusable(name) else str(PurePosixPath(name).with_suffix(""))


def _same(name: str) -> str:
    return name


@dataclass(frozen=True)
class _Way:
    """A way to compare a name with a path: how both are normalised, and whether the whole path must match."""

    of_path: Spelling
    of_name: Spelling
    whole: bool


# The first way by which a name matches any image is used.
_WAYS = (
    _Way(_same, _same, True),
    _Way(_same, _same, False),
    _Way(_bare, _same, False),
    _Way(_bare, _bare, False),
)


class _Matcher:
    """Finds the images that a name matches: the parts of one are the last parts of the other."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._found: list[dict[str, list[tuple[int, tuple[str, ...]]]]] = []
        for way in _WAYS:
            by_name = defaultdict(list)
            for image, path in enumerate(paths):
                parts = PurePosixPath(way.of_path(path)).parts
                by_name[parts[-1]].append((image, parts))
            self._found.append(dict(by_name))

    def images(self, name: str) -> list[int]:
        """Return the indices of the matching images, by the first way that matches any."""
        for way, by_name in zip(_WAYS, self._found, strict=True):
            parts = PurePosixPath(way.of_name(name)).parts or ("",)
            met = [image for image, path in by_name.get(parts[-1], ()) if _meets(parts, path, whole=way.whole)]
            if met:
                return met
        return []


def _meets(name: tuple[str, ...], path: tuple[str, ...], *, whole: bool) -> bool:
    shorter = min(len(name), len(path))
    return name == path if whole else name[-shorter:] == path[-shorter:]
