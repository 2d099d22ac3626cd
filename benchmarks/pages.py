"""The tables in docs/benchmarks.md: each between two comments, generated from its CSV."""

from pathlib import Path

import growth

import results
from emotiw.files import write_text


def tables(folder: Path) -> dict[str, str]:
    """Return the tables of the CSVs in `folder`, by their names in docs/benchmarks.md."""
    return {
        "results": results.table(folder),
        "costs": results.cost_table(folder),
        "growth": growth.table(folder),
    }


def filled(text: str, folder: Path) -> str:
    """Return a page with its tables generated from the CSVs in `folder`."""
    for name, table in tables(folder).items():
        begin, end = f"<!-- make bench: {name} -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"the page needs one line {begin.strip()}, and {end} after it")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n\n{end}{rest.partition(end)[2]}"
    return text


def fill(page: Path, folder: Path) -> None:
    """Put the tables of the CSVs in `folder` into a page."""
    write_text(page, filled(page.read_text(encoding="utf-8"), folder))
