"""Measure: each row of the table is a ratio of two programs that do the same work in turns, on the same cores.

python benchmarks [ROW...]    measures rows, or all, into results.csv, and shows the table; `growth` is one of them
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import growth
import results
import torch
from alternating import machine
from gpu import NoGpuError
from results import NOT_HERE, Result
from rows import ROWS

GROWTH = "growth"
PACKAGES = ("emotiw", "numpy", "opencv-python-headless", "lmdb", "scikit-image", "torch")


def measured(name: str, about: dict[str, str]) -> Result:
    """Measure a row in a temporary folder."""
    row = ROWS[name]
    with TemporaryDirectory() as folder:
        try:
            turns = row.measure(Path(folder))
        except NoGpuError:
            return Result(name, row.work, row.peer, row.target, NOT_HERE, **about)
    return results.result(name, row, turns, about)


def surroundings() -> dict[str, str]:
    """Return machine, versions and date."""
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
    """Measure, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", metavar="ROW", nargs="*", default=[*ROWS, GROWTH], help=", ".join([*ROWS, GROWTH]))
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent, metavar="DIR", help="of the CSVs")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.row if name not in (*ROWS, GROWTH)]:
        parser.error(f"no row {unknown[0]!r}: there are {', '.join([*ROWS, GROWTH])}")
    about = surroundings()
    for name in args.row:
        print(name, file=sys.stderr)
        if name == GROWTH:
            with TemporaryDirectory() as folder:
                growth.write(args.output, growth.measure(Path(folder)))
        else:
            results.put(args.output, measured(name, about), list(ROWS))
    print(results.table(args.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
