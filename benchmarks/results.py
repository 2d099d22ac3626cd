"""The measurements in `results.csv` and `costs.csv`, and the tables generated from them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from alternating import Row, Turns
from costs import Costly, Figures
from tabulate import tabulate

from emotiw.files import whole

NOT_HERE = "not measured: no GPU"
BEFORE = "measured before this correction"
SLOWER = "ours is slower"


@dataclass(frozen=True)
class Result:
    """A line of `results.csv`; seconds are medians of the turns, `ratio`, `least`, `largest` are of adjacent turns.

    `remark` qualifies the figures: `BEFORE` if they are older than the row's current program.
    """

    FILE: ClassVar[str] = "results.csv"
    name: str
    work: str
    peer: str
    target: str
    met: str
    turns: str = ""
    ours_s: str = ""
    peer_s: str = ""
    ratio: str = ""
    least: str = ""
    largest: str = ""
    floor: str = ""
    machine: str = ""
    versions: str = ""
    date: str = ""
    remark: str = ""

    @property
    def notes(self) -> str:
        """The notes column of the table."""
        slower = SLOWER if self.ratio and self.target.startswith("at least") and float(self.ratio) < 1 else ""
        return "; ".join(filter(None, (self.remark, slower, self.floor)))


@dataclass(frozen=True)
class Cost:
    """A line of `costs.csv`: medians of the turns, and the peak memory in MB; `bare` is the wrapped program."""

    FILE: ClassVar[str] = "costs.csv"
    name: str
    work: str
    bare: str
    turns: str
    ours_s: str
    ours_cpu_s: str
    ours_mb: str
    bare_s: str = ""
    bare_cpu_s: str = ""
    bare_mb: str = ""
    limit: str = ""
    met: str = ""
    machine: str = ""
    versions: str = ""
    date: str = ""


def result(name: str, row: Row, turns: Turns, about: dict[str, str]) -> Result:
    """Return a row's line of `results.csv`: medians in seconds, the ratio, and whether the target is met."""
    ours, theirs = median(turns.ours), median(turns.theirs)
    ratio, least, largest = (f"{value:.2f}" for value in row.ratio(turns))
    floors = [f"{what} {seconds / ours:.0%} of ours" for what, seconds in turns.floors.items()]
    floor = "; ".join([*floors, *([turns.note] if turns.note else [])])
    met = "yes" if row.met(turns) else "no"
    seconds = f"{ours:.4g}", f"{theirs:.4g}"
    return Result(
        name, row.work, row.peer, row.target, met, str(len(turns.ours)), *seconds, ratio, least, largest, floor, **about
    )


def cost(name: str, row: Costly, turns: int, found: Sequence[Figures | None], about: dict[str, str]) -> Cost:
    """Return the line of a row of costs, from the figures of ours and of the bare program."""
    cells = [cell for one in found if one for cell in (f"{one.seconds:.2f}", f"{one.cpu:.2f}", f"{one.peak / 1e6:.0f}")]
    limit = {}
    if row.limit:
        ours, theirs = found
        assert ours
        limit = {"limit": str(row.limit), "met": "yes" if row.limit.met(ours, theirs) else "no"}
    return Cost(name, row.work, row.bare, str(turns), *cells, **limit, **about)


def read(folder: Path, kind: Any = Result) -> dict[str, Any]:
    """Return the lines of a kind by name; none if there is no such file."""
    path = folder / kind.FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: kind(**row) for row in csv.DictReader(file)}


def put(folder: Path, new: Result | Cost, order: Iterable[str]) -> None:
    """Add a line in the given order, or replace it."""
    kind = type(new)
    lines = read(folder, kind) | {new.name: new}
    with whole(folder / kind.FILE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(lines[name]) for name in order if name in lines)


def table(folder: Path) -> str:
    """Return the table for docs/benchmarks.md, with machine and date of the measurements."""
    heads = ["work", "peer, same run", "ours, s", "peer, s", "ratio (of its turns)", "target", "met", "notes"]
    found = read(folder).values()
    lines = [
        [
            one.work,
            one.peer,
            one.ours_s,
            one.peer_s,
            one.ratio and f"{one.ratio} ({one.least} to {one.largest})",
            one.target,
            one.met,
            one.notes,
        ]
        for one in found
    ]
    return _shown(lines, heads, found)


def cost_table(folder: Path) -> str:
    """Return the table of costs for docs/benchmarks.md."""
    heads = ["command", "bare program", "ours: s", "CPU s", "MB", "bare: s", "CPU s", "MB", "at most", "met"]
    found = read(folder, Cost).values()
    lines = [
        [
            one.work,
            one.bare or "none",
            *(one.ours_s, one.ours_cpu_s, one.ours_mb),
            *(one.bare_s, one.bare_cpu_s, one.bare_mb),
            *(one.limit, one.met),
        ]
        for one in found
    ]
    return _shown(lines, heads, found)


def _shown(lines: list[list[str]], heads: list[str], found: Iterable[Result | Cost]) -> str:
    """Return a Markdown table, and below it each machine, with versions and date, on which a line was measured."""
    if not lines:
        return "Not measured yet."
    where = {f"{one.machine}; {one.versions}; {one.date}." for one in found}
    return "\n\n".join([tabulate(lines, heads, "github", disable_numparse=True), *sorted(where)])
