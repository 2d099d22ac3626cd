"""Tables in CSV files, with cells checked against the types of a dataclass."""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields
from pathlib import Path

from emotiw.csv_cells import plain
from emotiw.errors import EmotiwError
from emotiw.files import read_text
from emotiw.json_record import Record, record_of


def read_table(
    path: Path, kind: type[Record], mend: str, *, others: bool = False
) -> list[tuple[Record, dict[str, str]]]:
    """Return the rows of a CSV in UTF-8, each as a record and as its cells.

    Parameters
    ----------
    kind
        A dataclass with a field for each column. If its field has a default, an empty cell means the default; a column
        with a default other than None may be missing.
    mend
        The remedy in error messages.
    others
        Whether other columns are allowed.

    Raises
    ------
    OSError
        If the file cannot be read.
    EmotiwError
        If it is not UTF-8 text, not CSV, lacks a column or has an extra one, or a cell has a wrong type; the message
        names the line and the column.
    """
    return list(rows_of(read_text(path), str(path), kind, mend, others=others))


def rows_of(
    text: str, where: str, kind: type[Record], mend: str, *, others: bool = False, missing: Collection[str] = ()
) -> Iterator[tuple[Record, dict[str, str]]]:
    """Yield the rows of a CSV's text, in which the columns `missing` may be missing; see `read_table`."""
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    required = {field.name for field in fields(kind) if defaults.get(field.name) is None} - set(missing)
    # StringIO would hold four bytes for each character: half a gigabyte for the manifest of CASIA-WebFace.
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline=""), strict=True)
    try:
        head = [plain(cell) for cell in next(reader, [])]
        if len(set(head)) < len(head) or required - set(head):
            found = ", ".join(head) or "missing"
            raise ValueError(f"the columns are {found:.200}, not {', '.join(sorted(required))}")
        for cells in reader:
            if len(cells) != len(head):
                raise ValueError(f"{len(cells)} cells in {len(head)} columns")
            row = dict(zip(head, map(plain, cells), strict=True))
            given = {name: cell for name, cell in row.items() if cell or name not in defaults}
            yield record_of(given, kind, others=others, text=True), row
    except (ValueError, csv.Error) as error:
        raise EmotiwError(f"{where}, line {max(reader.line_num, 1)}: {error}: {mend}") from None
