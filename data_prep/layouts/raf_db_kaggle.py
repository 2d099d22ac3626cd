"""Layout `raf-db-kaggle`: RAF-DB's basic set as Kaggle has it, in folders that are numbered in RAF-DB's order.

`DATASET/{train,test}/{1..7}/train_00001_aligned.jpg`, with `train_labels.csv` and `test_labels.csv` (`image,label`).
If the tables are there, they must agree with the folders.

Standing: the folders are verified, the tables' columns are not.
"""

import csv
import io
import re
from collections.abc import Iterator

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Image, Interpretation, Listing, printable, unusable
from emotiw.data_prep.label_order import ORDERS, number_in
from emotiw.errors import EmotiwError

from .folders import in_emotion_folders

_ORDER = ORDERS["raf-db"]
_IMAGE = re.compile(r"(?:.*/)?(train|test)/(\d{1,2})/((train|test)_\d+(?:_aligned)?\.\w+)", re.IGNORECASE)
_TABLE = re.compile(r"(?:.*/)?(train|test)_labels\.csv", re.IGNORECASE)


def is_raf_db_kaggle(found: Found) -> bool:
    """Return whether images are named like RAF-DB's and lie in numbered folders of its splits."""
    return any(map(_IMAGE.fullmatch, found.files)) and not in_emotion_folders(found.files)


def list_raf_db_kaggle(found: Found, how: Interpretation) -> Listing:
    """List the images by their folders, which the tables confirm."""
    said = dict(_tables(found))
    images: list[Image] = []
    left_out: dict[str, str] = {}
    for path in found.files:
        match = _IMAGE.fullmatch(path)
        if match is None or unusable(path):
            if not _TABLE.fullmatch(path):
                left_out[printable(path)] = unusable(path) or "is not in a folder such as train/1"
            continue
        split, number, name, prefix = match[1].lower(), int(match[2]), match[3], match[4].lower()
        if number not in _ORDER.numbers or prefix != split:
            raise EmotiwError(f"{found.place}: {path} is not in RAF-DB's folders, which are train and test, {_ORDER}")
        if split in said and said[split].pop(name, None) != number:
            raise EmotiwError(
                f"{found.place}: {path}: the table {split}_labels.csv does not give it its folder's label {number}"
            )
        images.append(Image(path, _ORDER.class_of(number), split=split, official=split))
    left_out |= {f"{split}_labels.csv: {name}": "is not there" for split, rest in said.items() for name in rest}
    missing = [split for split in sorted({image.split for image in images}) if split not in said]
    notes = [f"no {split}_labels.csv confirms the labels: taken from the folders" for split in missing]
    return Listing(images, found.tree, left_out, notes=tuple(notes))


def _tables(found: Found) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield for each table its split, and the number of each image in it by name."""
    for path in found.files:
        if match := _TABLE.fullmatch(path):
            yield match[1].lower(), _numbers(found, path)


def _numbers(found: Found, table: str) -> dict[str, int]:
    where = found.where(table)
    try:
        rows = [row for row in csv.reader(io.StringIO(found.text(table))) if any(map(str.strip, row))]
    except csv.Error as error:
        raise EmotiwError(f"{where} is not a valid CSV: {error}") from None
    if not rows or [name.strip().lower() for name in rows[0]] != ["image", "label"]:
        raise EmotiwError(f"{where} does not have the columns image and label")
    numbers: dict[str, int] = {}
    for row in rows[1:]:
        number = number_in(row[1]) if len(row) == 2 else None
        if number is None or numbers.setdefault(row[0].strip(), number) != number:
            raise EmotiwError(f"{where}: {','.join(row)[:80]!r} is not an image with one number")
    return numbers
