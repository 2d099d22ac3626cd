"""Benchmarks: each row is the time ratio of two programs that do the same work in turns, on the same cores.

python benchmarks [ROW...]    measures rows, or all, into CSVs, and shows the tables; `growth` is one of them
python benchmarks --docs      puts the tables of the CSVs into docs/benchmarks.md, without measuring
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import costs
import growth
import pages
import torch
from alternating import TURNS, machine
from gpu import NoGpuError
from rows import ROWS

import results
from results import NOT_HERE, Result

GROWTH = "growth"
NAMES = [*ROWS, *costs.ROWS, GROWTH]
PACKAGES = ("emotiw", "numpy", "opencv-python-headless", "lmdb", "scikit-image", "torch")
CORES = 2  # as the rows say


def measure(name: str, output: Path, about: dict[str, str]) -> None:
    """Measure a row in a temporary folder and write its line; without a GPU, the lines of GPUs stay unchanged."""
    with TemporaryDirectory() as folder:
        if name == GROWTH:
            growth.write(output, growth.measure(Path(folder)))
        elif name in costs.ROWS:
            found = costs.ROWS[name].measure(Path(folder))
            results.put(output, results.cost(name, costs.ROWS[name], TURNS, found, about), costs.ROWS)
        else:
            row = ROWS[name]
            try:
                line = results.result(name, row, row.measure(Path(folder)), about)
            except NoGpuError:
                line = results.read(output).get(name) or Result(name, row.work, row.peer, row.target, NOT_HERE, **about)
            results.put(output, line, ROWS)


def surroundings() -> dict[str, str]:
    """Return the columns that say where and when it was measured: machine, versions of the packages, date."""
    known = machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = [f"Python {known['python_version'].split()[0]}"]
    versions += [f"{name} {metadata.version(name)}" for name in PACKAGES]
    return {
        "machine": f"{known['cpu_count']} cores of {known['cpu_model_name']}{gpu}",
        "versions": ", ".join(versions),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rows and print the tables, or fill docs/benchmarks.md; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", metavar="ROW", nargs="*", default=NAMES, help=", ".join(NAMES))
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, metavar="DIR", help="of the CSVs")
    parser.add_argument("--docs", action="store_true", help="put the tables into docs/benchmarks.md; measure nothing")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.row if name not in NAMES]:
        parser.error(f"no row {unknown[0]!r}: there are {', '.join(NAMES)}")
    if args.docs:
        pages.fill(Path(__file__).parents[1] / "docs/benchmarks.md", args.output)
        return 0
    if len(os.sched_getaffinity(0)) < CORES:
        parser.error(f"the rows say {CORES} cores, and there is one here")
    about = surroundings()
    for name in args.row:
        print(name, file=sys.stderr)
        measure(name, args.output, about)
    print(*pages.tables(args.output).values(), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
