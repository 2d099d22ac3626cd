"""CSV: the one writer and reader of all files of ours, whose cells are never formulas to a spreadsheet.

A cell that begins with `=`, `+`, `-` or `@` is a formula to a spreadsheet, which may start programs and send what
other cells hold (CWE-1236); so it is behind a tab or a line break. An apostrophe before it makes it text. A number
stays a number.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator

_LIVE = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four: a Japanese keyboard's
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def csv_lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield rows as lines of CSV, as `read_rows` reads them; None is an empty cell."""
    for row in rows:
        cells = [_guarded("" if cell is None else str(cell)) for cell in row]
        line = io.StringIO()
        # Python 3.11 leaves a carriage return unquoted, and its own reader then ends the line there.
        broken = any("\r" in cell for cell in cells)
        writer = csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL)
        writer.writerow(cells)
        yield line.getvalue()


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the rows of a CSV; `lines` are a file's, opened with `newline=""`.

    Raises
    ------
    csv.Error
        If it is no CSV.
    """
    for row in csv.reader(lines, strict=True):
        yield [plain(cell) for cell in row]


def plain(cell: str) -> str:
    """Return a cell as it was before `csv_lines` wrote it."""
    return cell[1:] if cell.startswith("'") and _LIVE.match(cell) else cell


def _guarded(cell: str) -> str:
    """Return a cell with an apostrophe before what would be a formula, and before another such apostrophe."""
    return f"'{cell}" if _LIVE.match(cell) and not _NUMBER.fullmatch(cell) else cell
