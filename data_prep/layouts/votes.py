"""Tables with one column per class: the class with the most votes; a one-hot row has one vote."""

from collections.abc import Mapping

from emotiw.errors import EmotiwError

_LONGEST = 40  # characters of a value that a message repeats


class NoClassError(ValueError):
    """Votes do not determine a class; the message says why, in a few words."""


def majority(votes: Mapping[str, str]) -> str:
    """Return the class that has more votes than any other; the votes are numbers written as text.

    Raises
    ------
    NoClassError
        If two classes have the most, or none has any.
    EmotiwError
        If a value is not a number of votes.

    Examples
    --------
    >>> majority({"angry": "0", "happy": "1", "sad": ""})
    'happy'
    """
    numbers = {name: _number(name, text) for name, text in votes.items()}
    most = max(numbers.values(), default=0)
    if not most:
        raise NoClassError("no class has a vote")
    first, *others = [name for name, number in numbers.items() if number == most]
    if others:
        raise NoClassError("a tie")
    return first


def _number(name: str, text: str) -> float:
    try:
        number = float(text.strip() or 0)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise EmotiwError(f"{name[:_LONGEST]} has {text[:_LONGEST]!r}, which is not a number of votes")
    return number
