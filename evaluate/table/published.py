"""Published figures: `published.csv`, and a user's own file."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from emotiw.data_prep.datasets import spelled
from emotiw.data_prep.image_list import OFFICIAL, split_meant
from emotiw.data_prep.splits import SPLITS
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import read_text

_OLD = "method,net,representation,images,val,val_mean_class,test,test_mean_class,source,standing".split(",")
_OLD_DATASET = "SFEW 2.0"  # the only data set of files with these columns


@dataclass(frozen=True)
class Publication:
    """A published figure: a method on a split of a data set.

    Attributes
    ----------
    net, representation
        Its cell of the table: `ensemble` and "" for the paper's ensemble, `baseline` and "" for the challenge's
        baseline; both empty for other methods.
    dataset, split
        The data set, by its name in `data_prep.datasets`, and its official split: train, val (or validation) or test.
    n
        The number of images; empty if it is not known.
    accuracy, mean_class_accuracy
        In percent, as printed; the second is empty if it was not published.
    protocol
        How it was measured, if methods differ in that; may be empty.
    source, standing
        The source, and whether it was verified.
    """

    method: str
    net: str
    representation: str
    dataset: str
    split: str
    n: str
    accuracy: str
    mean_class_accuracy: str
    protocol: str
    source: str
    standing: str

    def __post_init__(self) -> None:
        """Raise `ValueError` if a figure is not a percentage, a number is invalid, or the data set is missing."""
        figures = [float(figure) for figure in (self.accuracy, self.mean_class_accuracy or "0")]
        if (
            not all(0 <= figure <= 100 for figure in figures)
            or not self.dataset
            or self.split not in (*SPLITS, *OFFICIAL.values())
            or (self.n and int(self.n) < 1)
        ):
            raise ValueError

    @property
    def share(self) -> float:
        """The accuracy in [0, 1]."""
        return float(self.accuracy) / 100


def publications(more: Path | None = None) -> list[Publication]:
    """Return the shipped figures, the paper's first, then those of a user's file with the same columns.

    A file with the columns of earlier versions (a row for each method, with val and test) is read as figures on
    SFEW 2.0.

    Raises
    ------
    EmotiwError
        If the file has other columns, or an invalid figure.
    """
    shipped = resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    found = _read(shipped.splitlines(), "published.csv")
    if more:
        found += _read(read_text(more).splitlines(), str(more))
    return found


def published_on(found: Iterable[Publication], dataset: str, split: str | None = None) -> list[Publication]:
    """Return the figures on a data set and, if `split` is given, on that official split; none if it is unknown."""
    return [
        each
        for each in found
        if dataset and each.dataset == dataset and (split is None or split_meant(each.split) == split_meant(split))
    ]


def cell_of(found: Iterable[Publication], net: str, representation: str) -> Publication | None:
    """Return the published figure of one cell of the table, the last if there are several, or None."""
    return next((p for p in reversed(list(found)) if (p.net, p.representation) == (net, representation)), None)


def _read(lines: list[str], where: str) -> list[Publication]:
    names = [field.name for field in fields(Publication)]
    reader = csv.DictReader(lines)
    if reader.fieldnames not in (names, _OLD):
        raise EmotiwError(f"{where}: the columns are wrong: give it exactly {','.join(names)}")
    found: list[Publication] = []
    for row in reader:
        try:
            if None in row or None in row.values():  # a row too long or too short
                raise ValueError
            found += _of_old(row) if reader.fieldnames == _OLD else [_of_new(row)]
        except (ValueError, UsageError):
            raise EmotiwError(
                f"{where}, line {reader.line_num}: not a row of published figures in percent: correct it"
            ) from None
    return found


def _of_new(row: dict[str, str]) -> Publication:
    return Publication(**row | {"dataset": spelled(row["dataset"])})


def _of_old(row: dict[str, str]) -> Iterator[Publication]:
    """Yield the figures of a row with the earlier columns."""
    counts = dict(zip(("train", "val", "test"), row["images"].split(" / "), strict=False))
    trained = counts.get("train", "")
    for split in ("val", "test"):
        if row[split]:
            yield Publication(
                **{name: row[name] for name in ("method", "net", "representation", "source", "standing")},
                dataset=_OLD_DATASET,
                split=split,
                n=counts[split] if counts.get(split, "").isdecimal() else "",
                accuracy=row[split],
                mean_class_accuracy=row[f"{split}_mean_class"],
                protocol=f"trained on {trained} images" if trained.isdecimal() else "",
            )
