"""Lists of classes: the seven emotions, or a user's own, with the spellings by which a source names each class."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotiw.errors import EmotiwError, UsageError
from emotiw.files import read_text

from .emotions import EMOTIONS, emotion_named

_LONGEST = 40  # characters of a name, which heads a column of tables
_MOST_NAMED = 10  # classes in a line
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class ClassList:
    """The classes of a set.

    Attributes
    ----------
    names
        In label order; empty if every name is a class.
    named
        Returns the class that a spelling means; None if it means none.
    """

    names: tuple[str, ...]
    named: Callable[[str], str | None]

    def __str__(self) -> str:
        """Return the names, shortened."""
        return listed(self.names)


EMOTION_LIST = ClassList(EMOTIONS, emotion_named)
"""The seven emotions."""
EVERY_NAME = ClassList((), lambda text: text.strip() or None)
"""Every name is a class, as it is written."""


def exact_names(names: Iterable[str]) -> ClassList:
    """Return classes that only their names mean."""
    known = tuple(names)
    return ClassList(known, {name: name for name in known}.get)


def own_classes(lines: Sequence[str]) -> ClassList:
    """Return the classes that lines `NAME` or `NAME: spelling, spelling` define, in label order.

    Case, blanks, hyphens, underscores and a number before the name make no difference. A spelling of one of the seven
    emotions also stands for the emotion's other spellings, unless they belong to several classes.

    Raises
    ------
    UsageError
        If a name is not usable, two classes share a spelling, or there are fewer than two classes.

    Examples
    --------
    >>> classes = own_classes(["positive: happy", "contempt"])
    >>> [classes.named(text) for text in ("Positive", "2_Contempt", "joy", "sad")]
    ['positive', 'contempt', 'positive', None]
    """
    spelled: dict[str, str] = {}
    names = []
    for line in lines:
        name, *spellings = _words(line)
        _require_usable(name, "--classes")
        for spelling in dict.fromkeys(map(_folded, (name, *spellings))):
            if spelled.setdefault(spelling, name) != name or name in names:
                raise UsageError(f"--classes names {spelling!r} twice: give each class and each spelling once")
        names.append(name)
    if len(names) < 2:
        raise UsageError(f"--classes names {listed(names) or 'no class'}: a net needs at least two classes")
    meaning: dict[str, set[str]] = defaultdict(set)
    for spelling, name in spelled.items():
        if emotion := emotion_named(spelling):
            meaning[emotion].add(name)

    def named(text: str) -> str | None:
        plain = _folded(text)
        found = spelled.get(plain) or spelled.get(_without_number(plain))
        of_emotion = meaning.get(emotion_named(text) or "", set())
        return found or (next(iter(of_emotion)) if len(of_emotion) == 1 else None)

    return ClassList(tuple(names), named)


def read_classes(given: str) -> tuple[str, ...]:
    """Return the lines of `own_classes` from a file, or from names separated by commas.

    In a file, empty lines and lines that begin with # are ignored.

    Raises
    ------
    EmotiwError
        If the file is not UTF-8 text.
    UsageError
        If there is no such file, or its lines do not define classes.
    """
    try:
        lines = given.split(",") if "," in given else read_text(Path(given)).splitlines()
    except OSError:
        raise UsageError(
            f"--classes {given}: not a text file: give one with a class in each line, or names: positive,negative"
        ) from None
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    own_classes(kept)
    found = [_words(line) for line in kept]
    return tuple(f"{name}: {', '.join(spellings)}" if spellings else name for name, *spellings in found)


def classes_of_names(names: Iterable[str], place: Path) -> tuple[str, ...]:
    """Return the names that a source gives its classes, in label order: by alphabet, numbers by value.

    Raises
    ------
    EmotiwError
        If a name is not usable, two names may mean the same class, or there are fewer than two.
    """
    found = sorted(names, key=lambda name: (_by_value(name.casefold()), name))
    meanings: dict[str, str] = {}
    for name in found:
        _require_usable(name, f"{place}: the class")
        meaning = emotion_named(name) or _without_number(_folded(name))
        if meanings.setdefault(meaning, name) != name:
            raise EmotiwError(
                f"{place} names classes {meanings[meaning]!r} and {name!r}, which may be the same: name the classes by "
                "--classes FILE, in lines such as `NAME: other spelling`"
            )
    if len(found) < 2:
        raise EmotiwError(f"{place} names one class, {listed(found)}: a net needs at least two")
    return tuple(found)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def difference(ours: Sequence[str], theirs: Sequence[str], owner: str) -> str:
    """Return how the classes of a set differ from those of `owner`, to follow the set's name in a message.

    Examples
    --------
    >>> difference(["a", "b"], ["b", "a"], "run/finetune")
    'has the classes a, b, and run/finetune has the same in another order: b, a'
    """
    others = f"the same in another order: {listed(theirs)}" if sorted(ours) == sorted(theirs) else listed(theirs)
    return f"has the classes {listed(ours)}, and {owner} has {others}"


def numbered(lines: Sequence[str]) -> str:
    """Return the first number among the names and spellings of lines; empty if there is none."""
    return next((word for line in lines for word in _words(line) if is_number(word)), "")


def is_number(name: str) -> bool:
    """Return whether a class has a number instead of a name, which may mean another class in another set."""
    return bool(_NUMBERS.fullmatch(name.strip()))


def _words(line: str) -> list[str]:
    """Return the name in a line, and its other spellings."""
    name, _, spellings = line.partition(":")
    words = [name, *(spellings.split(",") if spellings.strip() else [])]
    return [" ".join(word.split()) for word in words]


def _require_usable(name: str, what: str) -> None:
    """Raise if a name cannot head a column of a printed table."""
    if not name.isprintable() or not name.strip() or "|" in name or len(name) > _LONGEST:
        raise UsageError(
            f"{what} {name[:_LONGEST]!r} is not a usable name: give 1 to {_LONGEST} printable characters without |"
        )


def _folded(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", text).casefold()).strip()


def _without_number(folded: str) -> str:
    """Return a name without a number before it, which only orders the names: `0 happy`, `1.happy`."""
    return re.sub(r"^\d+[\W_]+(?=[^\W\d_])", "", folded)


def _by_value(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key in which numbers are in the order of their values."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
