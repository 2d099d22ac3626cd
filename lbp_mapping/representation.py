"""Representations, the inputs of the nets: RGB, or LBP codes in the colours of a 3-D map."""

import operator
import re
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

MAPPINGS = ("rgb", "lbp", "cyclic_lbp", "hamming_lbp")

# The five inputs of the authors' released models: name -> mapping and radius.
_PAPER_NAMES = {
    "rgb": ("rgb", 1),
    "lbp": ("lbp", 1),
    "cyclic_lbp": ("cyclic_lbp", 1),
    "cyclic_lbp_5": ("cyclic_lbp", 5),
    "cyclic_lbp_10": ("cyclic_lbp", 10),
}

Number = TypeVar("Number", int, float)

MAX_RADIUS = 100
MAX_THRESHOLD = 255.0  # two grey values differ by no more


@dataclass(frozen=True)
class Representation:
    """A mapping of codes to colours, with the radius and the threshold of the codes.

    Parameters
    ----------
    mapping : str
        `rgb` (the image itself), `lbp`, `cyclic_lbp`, or `hamming_lbp` (ours).
    radius : int
        R of the LBP operator in pixels, 1 to 100.
    threshold : float
        By how many grey values a neighbour must exceed the centre, -255 to 255; 0 in the paper.

    Raises
    ------
    ValueError
        If a parameter has another value.
    """

    mapping: str
    radius: int = 1
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.mapping not in MAPPINGS:
            raise ValueError(f"{self.mapping}: no such mapping; there are {', '.join(MAPPINGS)}")
        try:
            radius = operator.index(self.radius)
        except TypeError:
            radius = 0
        if not 1 <= radius <= MAX_RADIUS:
            raise ValueError(f"radius {self.radius}: give a whole number of pixels, 1 to {MAX_RADIUS}")
        if not abs(self.threshold) <= MAX_THRESHOLD:  # NaN, too
            raise ValueError(
                f"threshold {self.threshold}: give a number of grey values, -{MAX_THRESHOLD:g} to {MAX_THRESHOLD:g}"
            )
        if self.mapping == "rgb" and (radius, self.threshold) != (1, 0):
            raise ValueError("rgb is the image itself: it takes neither a radius nor a threshold")
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "threshold", float(self.threshold) + 0.0)  # no -0

    @property
    def name(self) -> str:
        """The canonical name, safe as a file name: the paper's for its five, else one such as `cyclic_lbp_r3_t5`."""
        for name, paper in _PAPER_NAMES.items():
            if (self.mapping, self.radius, self.threshold) == (*paper, 0):
                return name
        radius = f"_r{self.radius}" if self.radius != 1 else ""
        threshold = f"_t{_shortest(self.threshold)}" if self.threshold else ""
        return self.mapping + radius + threshold

    @property
    def ours(self) -> bool:
        """Whether it is not one of the paper's five."""
        # Deviation D3
        return self.name not in _PAPER_NAMES

    def __str__(self) -> str:
        return self.name


PAPER = tuple(Representation(*mapping_and_radius) for mapping_and_radius in _PAPER_NAMES.values())
"""The paper's five representations, in the order of its released models."""

MAPPED = PAPER[1:]
"""The paper's four representations that are mapped LBP codes."""

# A radius is `_r3`, or `_3` as in the paper's names.
_CANONICAL = re.compile(r"([a-z_]+?)(?:_r?(\d+))?(?:_t([-+.e\d]+))?", re.ASCII)
_KNOWN = f"one of {', '.join([*_PAPER_NAMES, 'hamming_lbp'])}, or a mapping spelled as cyclic_lbp:radius=3:threshold=5"


@cache
def parse(text: str, threshold: float = 0.0, radius: int = 1) -> Representation:
    """Parse a representation.

    Parameters
    ----------
    text : str
        A name (`cyclic_lbp_5`, `lbp_r2`), or a mapping with its settings (`cyclic_lbp:radius=3:threshold=5`). As in the
        paper's names, a number after a mapping is its radius (`cyclic_lbp_3`).
    threshold, radius
        Defaults for a mapped representation that does not give its own.

    Returns
    -------
    Representation
        `parse(r.name) == r` for every representation r.

    Raises
    ------
    ValueError
        If the text is not a representation; the message says in one line what may be given.

    Examples
    --------
    >>> parse("cyclic_lbp:radius=5").name, parse("cyclic_lbp_10").radius, parse("lbp:threshold=-2.5").name
    ('cyclic_lbp_5', 10, 'lbp_t-2.5')
    >>> parse("cyclic_lbp_3").name
    'cyclic_lbp_r3'
    """
    name, *settings = text.split(":")
    given = _read_name(name)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if key not in ("radius", "threshold") or not equals or name != given["mapping"] or key in given:
            raise ValueError(f"{text}: not a representation; give {_KNOWN}")
        given[key] = value
    if given["mapping"] != "rgb":
        given.setdefault("threshold", str(threshold))
        given.setdefault("radius", str(radius))
    try:
        return Representation(
            given["mapping"],
            _number(given.get("radius", "1"), int, "radius"),
            _number(given.get("threshold", "0"), float, "threshold"),
        )
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None


def _read_name(name: str) -> dict[str, str]:
    """Return the settings in a name: mapping, and radius and threshold if it has them."""
    if name in _PAPER_NAMES:
        mapping, radius = _PAPER_NAMES[name]
        return {"mapping": mapping} if radius == 1 else {"mapping": mapping, "radius": str(radius)}
    match = _CANONICAL.fullmatch(name)
    if match is None or match[1] not in MAPPINGS:
        raise ValueError(f"{name}: not a representation; give {_KNOWN}")
    return {
        key: value
        for key, value in zip(("mapping", "radius", "threshold"), match.groups(), strict=True)
        if value is not None
    }


def _number(text: str, kind: type[Number], what: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        article = "a whole number of pixels" if kind is int else "a number of grey values"
        raise ValueError(f"{what} {text}: give {article}") from None


def _shortest(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)
