"""What others have published: `published.csv`, to which a user may add."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.files import read_text


@dataclass(frozen=True)
class Publication:
    """A published figure on SFEW 2.0.

    Attributes
    ----------
    net, representation
        Which cell of the table it is: `ensemble` and nothing for the paper's ensemble, `baseline` and nothing for the
        challenge's; both empty for other methods.
    images
        Train / val / test.
    val, val_mean_class, test, test_mean_class
        In percent, as printed; empty where it was not published.
    source, standing
        Where it stands, and how sure we are that it stands there.
    """

    method: str
    net: str
    representation: str
    images: str
    val: str
    val_mean_class: str
    test: str
    test_mean_class: str
    source: str
    standing: str

    def on(self, split: str) -> float | None:
        """Return the accuracy on a split, in [0, 1], or None."""
        percent = {"val": self.val, "test": self.test}.get(split)
        return float(percent) / 100 if percent else None

    def count(self, split: str) -> int | None:
        """Return on how many images of a split it was measured, or None where it is not known."""
        counts = dict(zip(("train", "val", "test"), self.images.split(" / "), strict=False))
        return int(counts[split]) if counts.get(split, "").isdecimal() else None


def publications(more: Path | None = None) -> list[Publication]:
    """Return the shipped figures, the paper's first, and those of the user's own file of the same columns.

    Raises
    ------
    EmotiwError
        Where that file has other columns, or a figure in it is no number.
    """
    shipped = resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    found = _read(shipped.splitlines(), "published.csv")
    if more:
        found += _read(read_text(more).splitlines(), str(more))
    return found


def cell_of(found: Iterable[Publication], net: str, representation: str) -> Publication | None:
    """Return what was published for one cell of the table, the last where there are several, or None."""
    return next((p for p in reversed(list(found)) if (p.net, p.representation) == (net, representation)), None)


def _read(lines: list[str], where: str) -> list[Publication]:
    names = [field.name for field in fields(Publication)]
    reader = csv.DictReader(lines)
    if reader.fieldnames != names:
        raise EmotiwError(f"{where} has not the columns {','.join(names)}: give it exactly these")
    found = []
    for row in reader:
        try:
            found.append(Publication(**row))
            for split in ("val", "test"):
                found[-1].on(split)
            if None in row.values():  # a row too short
                raise ValueError
        except (TypeError, ValueError):
            raise EmotiwError(f"{where}, line {reader.line_num}: not a row of published figures in percent") from None
    return found
