"""Growth of time and memory of `emotiw prepare` with the number of images, which are small to show other costs."""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyperf
from programs import Program
from tabulate import tabulate

from emotiw.data_prep.synthetic.archives import write_records
from emotiw.files import write_text

COUNTS = (1_000, 10_000, 100_000)
BASE = 100
JOBS = 2
FILE = "growth.csv"


@dataclass(frozen=True)
class Point:
    """The seconds and the peak memory in MB for a number of images."""

    images: int
    seconds: float
    peak: float


def records(folder: Path, count: int) -> Path:
    """Write a RecordIO of `count` pictures of 16 x 16, 300 different ones, 50 per person; return its folder."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 16, 16, 3), np.uint8)
    pictures = [cv2.imencode(".png", picture)[1].tobytes() for picture in noise]
    folder.mkdir()
    samples = [(0, (float(k // 50),), pictures[k % 300]) for k in range(count)]
    write_records(folder / "train.rec", [(2, (count + 1, count + 1 + count // 50), b""), *samples])
    return folder


def prepared(folder: Path, count: int) -> Point:
    """Prepare `count` images in `<folder>/<count>.set`; return wall seconds and peak memory of the command."""
    source, made = records(folder / f"{count}", count), folder / f"{count}.set"
    options = ["--labels", "identities", "-r", "rgb", "--size", "32", "--val", "0.1", "--jobs", str(JOBS)]
    begun = pyperf.perf_counter()
    most = Program([sys.executable, "-P", "-m", "emotiw", "prepare", source, "-o", made, *options]).peak()
    return Point(count, pyperf.perf_counter() - begun, most / 1e6)


def measure(folder: Path) -> list[Point]:
    """Prepare sets of the base and of each count; return their points in this order."""
    return [prepared(folder, count) for count in (BASE, *COUNTS)]


def slope(points: list[Point]) -> float:
    """Return the exponent with which the time in excess of the base grows: 1 for linear growth."""
    base, *rest = points
    images = [point.images - base.images for point in rest]
    seconds = [point.seconds - base.seconds for point in rest]
    return float(np.polyfit(np.log(images), np.log(seconds), 1)[0])


def write(folder: Path, points: list[Point]) -> None:
    """Write the points as `growth.csv`."""
    base = points[0]
    lines = ["images,seconds,peak_mb,over_the_base_mb"]
    lines += [f"{one.images},{one.seconds:.2f},{one.peak:.0f},{one.peak - base.peak:.0f}" for one in points]
    write_text(folder / FILE, "\n".join(lines) + "\n")


def table(folder: Path) -> str:
    """Return `growth.csv` as Markdown, and the slope."""
    if not (folder / FILE).is_file():
        return "Not measured yet."
    with (folder / FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    points = [Point(int(row["images"]), float(row["seconds"]), float(row["peak_mb"])) for row in rows]
    lines = [list(row.values()) for row in rows]
    heads = ["images", "seconds", "peak, MB", "over the base, MB"]
    shown = tabulate(lines, heads, "github", disable_numparse=True)
    return f"{shown}\n\nBeyond the first line, time grows as the number of images to the power of {slope(points):.2f}."
