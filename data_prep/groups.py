"""Groups of images by their file names: a person, a movie or a video that must not be in two splits."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from posixpath import splitext

from emotiw.errors import EmotiwError, UsageError

from .image_list import Image

# The file names of known data sets, without the ending; copies of an image have words appended to its name.
_COPY = r"(?:_\w+)*"
_NAMES = tuple(
    re.compile(pattern + _COPY)
    for pattern in (
        r"([^_]+)_(?:.*_)?\d{9}_\d{8}",  # SFEW: <Movie>_<9 digits>_<8 digits>
        r"(S\d{3})_\d{3}_\d{8}",  # CK+: <subject>_<sequence>_<frame>
        r"[AB]([FM]\d\d)(?:AF|AN|DI|HA|NE|SA|SU)(?:FL|HL|S|HR|FR)",  # KDEF: session, person, expression, view
        r"([A-Z]{2})\.(?:AN|DI|FE|HA|NE|SA|SU)\d\.\d+",  # JAFFE: person, expression and repetition, number
    )
)
# What is appended to the names of several images of one: a number, the name of an augmentation.
_ADDED = re.compile(r"(?:[_\-. ]+(?:\d+|(?:aug|flip|mirror|rot|crop|copy|scale|shift|noise)\w*|[a-zA-Z]))+$")


def group_in_name(path: str) -> str:
    """Return the group in a file's name; empty if there is none.

    Examples
    --------
    >>> group_in_name("Airheads_000519240_00000005_aug_flip.png"), group_in_name("a/KA.AN1.39.tiff")
    ('Airheads', 'KA')
    """
    stem = splitext(path.rpartition("/")[2])[0]
    return next((match[1] for pattern in _NAMES if (match := pattern.fullmatch(stem))), "")


def pattern_of(group: str | None) -> re.Pattern[str] | None:
    """Return the regular expression of --group.

    Raises
    ------
    UsageError
        If it is not a regular expression.
    """
    try:
        return re.compile(group) if group else None
    except re.error as error:
        raise UsageError(f"--group {group!r} is not a regular expression: {error}") from None


def group_by(path: str, pattern: re.Pattern[str]) -> str:
    """Return the group that a pattern finds in a path: its first group, or the whole match; (?i) folds case.

    Raises
    ------
    EmotiwError
        If it does not match, or its group is empty.
    """
    match = pattern.search(path)
    group = match and match[1 if pattern.groups else 0]
    if not group:
        raise EmotiwError(f"{path} does not match --group {pattern.pattern!r}: every image needs its group")
    return group.casefold() if pattern.flags & re.IGNORECASE else group


def are_known(images: Sequence[Image]) -> bool:
    """Return whether groups are known: whether any two images share one."""
    return len({image.group for image in images}) < len(images)


def similar_names(images: Iterable[Image]) -> list[str]:
    """Return the paths with names that are equal to another's except for a number or the name of an augmentation."""
    found: dict[str, list[str]] = defaultdict(list)
    for image in images:
        path = PurePosixPath(image.path)
        found[_ADDED.sub("", path.stem) or path.stem].append(image.path)
    return [path for paths in found.values() if len(paths) > 1 for path in paths]
