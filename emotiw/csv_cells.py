"""The CSV writer and reader of all our files: no cell is a formula to a spreadsheet.

A cell that begins with `=`, `+`, `-` or `@`, also after a tab or a line break, is a formula to a spreadsheet, which may
start programs and send the contents of other cells (CWE-1236). An apostrophe before it makes it text. Numbers stay
numbers.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator

_LIVE = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four: a Japanese keyboard's
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def csv_lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield rows as lines of CSV for `read_rows`; None is an empty cell."""
    for row in rows:
        cells = [_guarded("" if cell is None else str(cell)) for cell in row]
        line = io.StringIO()
        # Python 3.11 does not quote a carriage return, and its reader then ends the line there.
        broken = any("\r" in cell for cell in cells)
        writer = csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL)
        writer.writerow(cells)
        yield line.getvalue()


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the rows of a CSV; `lines` are a file's, opened with `newline=""`.

    Raises
    ------
    csv.Error
        If it is not CSV.
    """
    for row in csv.reader(lines, strict=True):
        yield [plain(cell) for cell in row]


def plain(cell: str) -> str:
    """Return the original cell of one written by `csv_lines`."""
    return cell[1:] if cell.startswith("'") and _LIVE.match(cell) else cell


def _guarded(cell: str) -> str:
    """Add an apostrophe to a cell that would be a formula, or that begins with such an apostrophe."""
    return f"'{cell}" if _LIVE.match(cell) and not _NUMBER.fullmatch(cell) else cell
