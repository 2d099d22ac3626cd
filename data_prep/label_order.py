"""Label orders: the class of each number, for data sets that number their classes."""

from collections.abc import Iterable
from dataclasses import dataclass

from emotiw.errors import EmotiwError, UsageError

from .class_list import EMOTION_LIST, ClassList
from .emotions import EMOTIONS
from .image_list import AmbiguousError, Reading

_LONGEST_NUMBER = 9  # digits; Python refuses to read or print numbers of thousands


@dataclass(frozen=True)
class LabelOrder:
    """The classes of a set in the order of its numbers.

    Attributes
    ----------
    name
        The name that `--order` takes.
    names
        The classes from the first number on: the seven emotions in our spelling, and other classes, such as Contempt.
    first
        The number of the first class.
    source
        The document or file that defines the order.
    """

    name: str
    names: tuple[str, ...]
    first: int = 0
    source: str = ""

    @property
    def numbers(self) -> range:
        """The numbers that have a class."""
        return range(self.first, self.first + len(self.names))

    def class_of(self, number: int) -> str:
        """Return the name of a number's class, which need not be one of the seven emotions.

        Raises
        ------
        EmotiwError
            If no class has the number.
        """
        if number not in self.numbers:
            shown = str(number) if abs(number) < 10**_LONGEST_NUMBER else "a number of many digits"
            raise EmotiwError(f"label {shown} is not in the order {self.name}: {self}")
        return self.names[number - self.first]

    def __str__(self) -> str:
        """Return the numbers with their classes."""
        return ", ".join(f"{number} {name}" for number, name in zip(self.numbers, self.names, strict=True))


def number_in(text: str) -> int | None:
    """Return the whole number in a label, which may be written as a decimal fraction; None if there is none.

    Examples
    --------
    >>> number_in("3"), number_in("3.000000"), number_in("3.5"), number_in("Happy")
    (3, 3, None, None)
    """
    whole, point, fraction = text.strip().partition(".")
    plain = whole.isascii() and whole.isdigit() and not fraction.strip("0") and (not point or bool(fraction))
    return int(whole) if plain and len(whole) <= _LONGEST_NUMBER else None


def label_order(text: str, classes: ClassList = EMOTION_LIST) -> LabelOrder:
    """Return the order that `--order` names, or the one that a comma-separated list of class names gives from 0 on.

    Parameters
    ----------
    classes
        The classes, of which a list must name at least one.

    Raises
    ------
    UsageError
        If it is not an order, or the list names a class twice or none at all.

    Examples
    --------
    >>> label_order("raf-db").class_of(1), label_order("happy,contempt,sad").class_of(2)
    ('Surprise', 'Sad')
    """
    if known := ORDERS.get(text.strip().lower()):
        return known
    if "," not in text:
        raise UsageError(
            f"--order {text!r} is not one of {', '.join(ORDERS)}: give one of these, or the names of the classes in "
            "the order of their numbers, such as angry,happy,sad"
        )
    words = [word.strip() for word in text.split(",")]
    names = tuple(classes.named(word) or word for word in words)
    folded = [name.lower() for name in names]
    if twice := [name for name in names if folded.count(name.lower()) > 1]:
        raise UsageError(f"--order {text!r} names {twice[0]!r} twice: give each class once")
    if not all(words) or not any(map(classes.named, words)):
        raise UsageError(f"--order {text!r} is not a list of classes: give their names, such as angry,happy,sad")
    return LabelOrder(text, names, 0, "the command line")


_BASIC_ORDERS = (
    LabelOrder("emotiw", EMOTIONS, 0, "Levi & Hassner's label order, 0 to 6"),
    LabelOrder(
        "fer2013",
        ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"),
        0,
        "the column emotion of fer2013.csv: Neutral comes last",
    ),
    LabelOrder(
        "raf-db",
        ("Surprise", "Fear", "Disgust", "Happy", "Sad", "Angry", "Neutral"),
        1,
        "EmoLabel/list_patition_label.txt of RAF-DB's basic set",
    ),
    LabelOrder(
        "affectnet",
        (
            "Neutral",
            "Happy",
            "Sad",
            "Surprise",
            "Fear",
            "Disgust",
            "Angry",
            "Contempt",
            "None",
            "Uncertain",
            "No face",
        ),
        0,
        "the column expression of AffectNet's training.csv, and its _exp.npy files",
    ),
    LabelOrder(
        "ferplus",
        (
            "Neutral",
            "Happy",
            "Surprise",
            "Sad",
            "Angry",
            "Disgust",
            "Fear",
            "Contempt",
            "Unknown",
            "No face",
        ),
        0,
        "the columns of votes of FERPlus's fer2013new.csv",
    ),
    LabelOrder(
        "ck+",
        ("Angry", "Contempt", "Disgust", "Fear", "Happy", "Sad", "Surprise"),
        1,
        "the _emotion.txt files of CK+",
    ),
)
ORDERS = {order.name: order for order in _BASIC_ORDERS}
"""The orders by the names that `--order` takes. Every set numbers its classes differently."""


def which_order(where: str, numbers: Iterable[int]) -> AmbiguousError:
    """Return the error for numeric labels without an order: it lists the orders that fit, with the classes in each.

    Parameters
    ----------
    where
        The file or folder with the labels, with which the message begins.
    numbers
        The labels; not empty.
    """
    found = sorted({*numbers})
    fitting = [order for order in ORDERS.values() if {*found} <= {*order.numbers}]
    readings = [
        Reading(", ".join(f"{number} {order.class_of(number)}" for number in found), f"--order {order.name}")
        for order in fitting
    ]
    own = Reading("the classes from 0 on, by name", "--order NAME,NAME,...")
    return AmbiguousError(
        f"{where}: labels are numbers, and every data set numbers its classes differently", [*readings, own]
    )
