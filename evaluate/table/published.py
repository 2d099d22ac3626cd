"""What others have published: `published.csv`, to which a user may add."""

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
_OLD_DATASET = "SFEW 2.0"  # files of these columns were of no other


@dataclass(frozen=True)
class Publication:
    """A published figure: a method on a split of a data set.

    Attributes
    ----------
    net, representation
        Which cell of the table it is: `ensemble` and nothing for the paper's ensemble, `baseline` and nothing for the
        challenge's; both empty for other methods.
    dataset, split
        What it was measured on: the data set's name as `data_prep.datasets` has it, and its official split: train, val
        (or validation) or test.
    n
        On how many images; empty where it is not known.
    accuracy, mean_class_accuracy
        In percent, as printed; the second one empty where it was not published.
    protocol
        How it was measured, as far as it differs from method to method; may be empty.
    source, standing
        Where it stands, and how sure we are that it stands there.
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
        """Raise `ValueError` if a figure is no percentage, a number no number, or the data set is not named."""
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
    """Return the shipped figures, the paper's first, and those of the user's own file of the same columns.

    A file of the columns of earlier versions, one row a method with val and test beside each other, is read as figures
    on SFEW 2.0.

    Raises
    ------
    EmotiwError
        If that file has other columns, or a figure in it is no number.
    """
    shipped = resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    found = _read(shipped.splitlines(), "published.csv")
    if more:
        found += _read(read_text(more).splitlines(), str(more))
    return found


def published_on(found: Iterable[Publication], dataset: str, split: str | None = None) -> list[Publication]:
    """Return what was published on a data set, and on one official split of it; nothing on one that is not known."""
    return [
        each
        for each in found
        if dataset and each.dataset == dataset and (split is None or split_meant(each.split) == split_meant(split))
    ]


def cell_of(found: Iterable[Publication], net: str, representation: str) -> Publication | None:
    """Return what was published for one cell of the table, the last where there are several, or None."""
    return next((p for p in reversed(list(found)) if (p.net, p.representation) == (net, representation)), None)


def _read(lines: list[str], where: str) -> list[Publication]:
    names = [field.name for field in fields(Publication)]
    reader = csv.DictReader(lines)
    if reader.fieldnames not in (names, _OLD):
        raise EmotiwError(f"{where} has not the columns {','.join(names)}: give it exactly these")
    found: list[Publication] = []
    for row in reader:
        try:
            if None in row or None in row.values():  # a row too long or too short
                raise ValueError
            found += _of_old(row) if reader.fieldnames == _OLD else [_of_new(row)]
        except (ValueError, UsageError):
            raise EmotiwError(f"{where}, line {reader.line_num}: not a row of published figures in percent") from None
    return found


def _of_new(row: dict[str, str]) -> Publication:
    return Publication(**row | {"dataset": spelled(row["dataset"])})


def _of_old(row: dict[str, str]) -> Iterator[Publication]:
    """Yield the figures of a row of the earlier columns."""
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
