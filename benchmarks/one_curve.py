"""Compare the losses of both engines, one by one, for the same row, weights and images, in float32.

python benchmarks/one_curve.py ROW SET -o FOLDER [--iterations 300]    losses.csv and one_curve.png in FOLDER

Mirroring and dropout are off, and the images of SET have the size of the net's crop, because each engine draws other
random numbers.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from engines import NET, SOLVER, losses, without_chance, write_start
from tabulate import tabulate

from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.registry import open_engine
from emotiw.engine.settings import ENGINES, EngineSettings
from emotiw.files import whole, write_lines, write_text
from emotiw.prototxt.formats.messages import format_text
from emotiw.prototxt.surgery import crop_size
from emotiw.train.experiments import experiment
from emotiw.train.net_setup import TrainOptions, set_up

Losses = Mapping[str, Sequence[float]]
_PARTS = 6  # of the curve, in the table


def write(folder: Path, row: str, prepared: Path, iterations: int) -> None:
    """Write the fine-tuning of a row without randomness, and the starting weights of both engines."""
    found = open_set(prepared)
    setup = set_up(experiment(row), "finetune", found, TrainOptions(iterations=iterations))
    messages = setup.messages()
    net, solver = messages["train_val"], messages["solver"]
    if crop_size(setup.train_val) != found.size:
        raise SystemExit(f"{prepared}: prepare it with --size {crop_size(setup.train_val)}, so that nothing is cropped")
    setup.write(folder)
    without_chance(net)
    solver.net, solver.display, solver.snapshot = NET, 1, iterations
    for path, message in ((NET, net), (SOLVER, solver)):
        write_text(folder / path, format_text(message))
    write_start(folder)


def table(found: Losses) -> str:
    """Return the differences of the losses for each part of the curve, as Markdown."""
    ours, theirs = (np.asarray(found[engine]) for engine in ENGINES[::-1])
    parts = np.array_split(np.arange(len(theirs)), _PARTS)
    rows = [
        [
            f"{part[0]} - {part[-1]}",
            *(f"{losses[part].mean():.4f}" for losses in (theirs, ours)),
            f"{np.abs(ours[part] / theirs[part] - 1).max():.1e}",
        ]
        for part in parts
    ]
    return tabulate(rows, ["iterations", *ENGINES, "largest difference of a loss"], "github", disable_numparse=True)


def draw(found: Losses, title: str, path: Path) -> None:
    """Write both curves into one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for (engine, values), style in zip(found.items(), ("-", "--"), strict=True):
        axes.plot(values, style, linewidth=1, label=engine)
    axes.set(title=title, xlabel="iteration", ylabel="training loss", ylim=(0, None))
    axes.legend(frameon=False)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train by each engine; write the losses and the picture, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", metavar="ROW")
    parser.add_argument("prepared", metavar="SET", type=Path)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=300, metavar="N", help="(default: %(default)s)")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    write(args.output, args.row, args.prepared, args.iterations)
    engines = {engine: open_engine(EngineSettings(engine, gpu="none")) for engine in ENGINES}
    # Both also print a loss after the last iteration.
    found = {name: losses(engine, args.output)[: args.iterations] for name, engine in engines.items()}
    lines = zip(range(args.iterations), *found.values(), strict=True)
    write_lines(
        args.output / "losses.csv", (",".join(map(str, line)) + "\n" for line in (("iteration", *found), *lines))
    )
    draw(found, f"{args.row}, both engines", args.output / "one_curve.png")
    print(table(found))


if __name__ == "__main__":
    main()
