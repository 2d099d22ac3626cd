"""Groups that images' names tell: what must not be on two sides of a split, a person, a movie, a video."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from emotiw.errors import EmotiwError, UsageError

from .image_list import Image

# By the names that sets' makers give their files, without the ending; copies of one image add words to its name.
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
# What is added to a name where several images are of one: a number, the name of an augmentation.
_ADDED = re.compile(r"(?:[_\-. ]+(?:\d+|(?:aug|flip|mirror|rot|crop|copy|scale|shift|noise)\w*|[a-zA-Z]))+$")


def group_in_name(path: str) -> str:
    """Return the group that a file's name tells, or nothing.

    Examples
    --------
    >>> group_in_name("Airheads_000519240_00000005_aug_flip.png"), group_in_name("a/KA.AN1.39.tiff")
    ('Airheads', 'KA')
    """
    stem = PurePosixPath(path).stem
    return next((match[1] for pattern in _NAMES if (match := pattern.fullmatch(stem))), "")


def pattern_of(group: str | None) -> re.Pattern[str] | None:
    """Return the regular expression of --group.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        return re.compile(group) if group else None
    except re.error as error:
        raise UsageError(f"--group {group!r} is no regular expression: {error}") from None


def group_by(path: str, pattern: re.Pattern[str]) -> str:
    """Return the group that a pattern finds in a path: its first group, or the whole match; (?i) folds case.

    Raises
    ------
    EmotiwError
        If it finds none.
    """
    match = pattern.search(path)
    group = match and match[1 if pattern.groups else 0]
    if not group:
        raise EmotiwError(f"{path} does not match --group {pattern.pattern!r}: every image needs its group")
    return group.casefold() if pattern.flags & re.IGNORECASE else group


def are_known(images: Sequence[Image]) -> bool:
    """Return whether any two images share a group."""
    return len({image.group for image in images}) < len(images)


def alike(images: Iterable[Image]) -> list[str]:
    """Return the paths whose names look like another's, apart from a number or the name of an augmentation."""
    found: dict[str, list[str]] = defaultdict(list)
    for image in images:
        path = PurePosixPath(image.path)
        found[_ADDED.sub("", path.stem) or path.stem].append(image.path)
    return [path for paths in found.values() if len(paths) > 1 for path in paths]
