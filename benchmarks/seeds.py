"""Compare the accuracies of nets trained by the two engines: the same row from several seeds by each.

python benchmarks/seeds.py PEOPLE EXPRESSIONS ROW -o RUNS

PEOPLE and EXPRESSIONS are two prepared sets. If interrupted, run the same command again to continue.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats
from tabulate import tabulate

from emotiw.__main__ import main
from emotiw.engine.settings import ENGINES
from emotiw.evaluate.scores import read_scores


def accuracy(runs: Path, row: str, people: Path, expressions: Path, engine: str, seed: int) -> float:
    """Train a row by an engine, from a seed, and return its validation accuracy in percent."""
    folder = runs / engine / str(seed)
    scores = folder / row / "finetune" / "scores_val.csv"
    if not scores.is_file():
        common = ["--engine", engine]
        trained = [*common, "-o", str(folder), "--seed", str(seed)]
        for command in (
            ["pretrain", row, "--set", str(people), *trained],
            ["finetune", row, "--set", str(expressions), *trained],
            ["evaluate", str(scores.parent), "--set", str(expressions), *common],
        ):
            if status := main(command):
                raise SystemExit(status)
    return 100 * read_scores(scores).accuracy


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over seeds (Student's t)."""
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return float(low), float(high)


def table(found: dict[str, list[float]]) -> str:
    """Return the engines' accuracies and intervals, and whether these overlap, as Markdown."""
    intervals = {engine: interval(values) for engine, values in found.items()}
    body = [
        [engine, ", ".join(f"{v:.2f}" for v in values), f"{np.mean(values):.2f}", "{:.2f} - {:.2f}".format(*around)]
        for (engine, values), around in zip(found.items(), intervals.values(), strict=True)
    ]
    head = ["engine", "accuracy of each seed, %", "mean", "95 % interval of the mean"]
    overlap = max(low for low, _ in intervals.values()) <= min(high for _, high in intervals.values())
    p = stats.ttest_ind(*found.values(), equal_var=False).pvalue
    said = f"The intervals {'overlap' if overlap else 'do NOT overlap'} (Welch's t-test: p = {p:.2f})."
    return f"{tabulate(body, head, 'github', disable_numparse=True)}\n\n{said}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("PEOPLE", "EXPRESSIONS"):
        parser.add_argument(name, type=Path)
    parser.add_argument("ROW")
    parser.add_argument("-o", dest="runs", type=Path, metavar="RUNS", default=Path("seeds"))
    parser.add_argument("--seeds", type=int, metavar="N", default=5)
    args = parser.parse_args()
    print(
        table(
            {
                engine: [
                    accuracy(args.runs, args.ROW, args.PEOPLE, args.EXPRESSIONS, engine, seed)
                    for seed in range(1, args.seeds + 1)
                ]
                for engine in ENGINES
            }
        )
    )
