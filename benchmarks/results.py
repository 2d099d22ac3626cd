"""What was measured, as `results.csv`; and the table made of it."""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

from alternating import Row, Turns
from tabulate import tabulate

from emotiw.files import whole

FILE = "results.csv"
NOT_HERE = "not measured: no GPU"


@dataclass(frozen=True)
class Result:
    """A line of the CSV; seconds are medians of the turns, `ratio`, `least` and `largest` are of turns side by side."""

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


def result(name: str, row: Row, turns: Turns, about: dict[str, str]) -> Result:
    """Return the line of a row."""
    ours, theirs = median(turns.ours), median(turns.theirs)
    ratio, least, largest = (f"{value:.2f}" for value in row.ratio(turns))
    floors = [f"{what} {seconds / ours:.0%} of ours" for what, seconds in turns.floors.items()]
    floor = "; ".join([*floors, *([turns.note] if turns.note else [])])
    met = "yes" if row.met(turns) else "no"
    seconds = f"{ours:.4g}", f"{theirs:.4g}"
    return Result(
        name, row.work, row.peer, row.target, met, str(len(turns.ours)), *seconds, ratio, least, largest, floor, **about
    )


def read(folder: Path) -> dict[str, Result]:
    """Return the lines by their names; none where there is no such file."""
    path = folder / FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: Result(**row) for row in csv.DictReader(file)}


def put(folder: Path, new: Result, order: list[str]) -> None:
    """Write a line in its place."""
    lines = read(folder) | {new.name: new}
    path = folder / FILE
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Result)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(lines[name]) for name in order if name in lines)


def table(folder: Path) -> str:
    """Return what the README shows: the lines, and where and when they were measured."""
    heads = ["work", "peer, same run", "ours, s", "peer, s", "ratio (of its turns)", "target", "met", "the floor"]
    lines = [
        [
            one.work,
            one.peer,
            one.ours_s,
            one.peer_s,
            one.ratio and f"{one.ratio} ({one.least} to {one.largest})",
            one.target,
            one.met,
            one.floor,
        ]
        for one in read(folder).values()
    ]
    where = {f"{one.machine}; {one.versions}; {one.date}." for one in read(folder).values()}
    return "\n\n".join([tabulate(lines, heads, "github", disable_numparse=True), *sorted(where)])
