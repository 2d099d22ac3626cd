"""How long a whole training iteration takes in each engine: data, both passes and the update, on this machine's CPU.

python benchmarks/engines.py [NET...]    a Markdown table; the four real nets, unless others are named

The engines take turns, on the same LMDB, solver and batch; a ratio is of two turns that follow each other.
"""

import argparse
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from tabulate import tabulate

from emotiw.data_prep.datum import encode
from emotiw.data_prep.writing import LmdbWriter
from emotiw.engine import ENGINES
from emotiw.engine.events import Event, Loss
from emotiw.engine.interface import Engine
from emotiw.engine.opening import open_engine
from emotiw.prototxt.execution import committed, set_size, use_set
from emotiw.prototxt.messages import format_text
from emotiw.prototxt.nets import EMOTIONS, NETS

IMAGES = 64
WARM = 2  # iterations that are not counted: memory is taken, threads begin
SOLVER = Path("solver.prototxt")


@dataclass(frozen=True)
class Turns:
    """Seconds an iteration, one for each turn of an engine."""

    caffe: list[float]
    torch: list[float]

    @property
    def ratio(self) -> float:
        """Return how many times Caffe's speed torch has: of neighbouring turns, their median."""
        return median(theirs / ours for theirs, ours in zip(self.caffe, self.torch, strict=True))


def write_run(folder: Path, name: str, batch: int | None, iterations: int) -> int:
    """Write noise as an LMDB, its mean, and a net's fine-tuning with it; return the batch size.

    Parameters
    ----------
    batch
        None: the net's own.
    iterations
        That are counted.
    """
    net, solver = (committed(name, f"{file}_finetune.prototxt") for file in ("train_val", "solver"))
    side, rng = set_size(net), np.random.default_rng(0)
    with LmdbWriter(folder / "lmdb") as writer:
        for k in range(IMAGES):
            image = rng.integers(0, 256, (side, side, 3), np.uint8)
            writer.put(f"{k:08d}".encode(), encode(image, k % EMOTIONS, "raw"))
        writer.commit()
        writer.write_mean(folder / "mean.binaryproto")
    use_set(net, {"TRAIN": "lmdb", "TEST": "lmdb"}, "mean.binaryproto")
    data = net.layer[0].data_param
    data.batch_size = batch or data.batch_size
    for field in ("test_iter", "test_interval", "snapshot"):
        solver.ClearField(field)
    solver.base_lr = 1e-6  # noise teaches nothing, and a loss that is no number would end a run
    # Both engines display once more behind the last iteration, without an update.
    solver.net, solver.display, solver.max_iter = "net.prototxt", 1, WARM + iterations + 1
    solver.snapshot_after_train = False
    (folder / "net.prototxt").write_text(format_text(net), encoding="utf-8")
    (folder / SOLVER).write_text(format_text(solver), encoding="utf-8")
    return int(data.batch_size)


def seconds(engine: Engine, folder: Path) -> float:
    """Return the median time from one displayed loss to the next."""
    moments: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Loss):
            moments.append(perf_counter())

    engine.train(folder / SOLVER, note)
    return median(after - before for before, after in pairwise(moments[WARM:-1]))


def measure(folder: Path, turns: int) -> Turns:
    """Let the engines take turns."""
    engines = [open_engine(name, gpu="none") for name in ENGINES]
    pairs = [[seconds(engine, folder) for engine in engines] for _ in range(turns)]
    return Turns(*map(list, zip(*pairs, strict=True)))


def line(name: str, batch: int, turns: Turns) -> list[str]:
    """Return a net's line of the table."""
    times = [f"{median(each):.3f}" for each in (turns.caffe, turns.torch)]
    ratios = [theirs / ours for theirs, ours in zip(turns.caffe, turns.torch, strict=True)]
    return [name, str(batch), *times, f"{turns.ratio:.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]


def machine() -> str:
    """Return what this was measured on, in words."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {(models or [platform.machine()])[0]}; torch {metadata.version('torch')}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = [name for name in NETS if not name.endswith("_small")]
    parser.add_argument("net", metavar="NET", nargs="*", default=real, help=", ".join(NETS))
    parser.add_argument("--batch", type=int, help="images an iteration; the net's own, unless given")
    parser.add_argument("--turns", type=int, default=5, help="of each engine (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=5, help="counted in each turn (default: %(default)s)")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.net if name not in NETS]:
        parser.error(f"no net {unknown[0]!r}: there are {', '.join(NETS)}")
    lines = []
    for name in args.net:
        with TemporaryDirectory() as folder:
            batch = write_run(Path(folder), name, args.batch, args.iterations)
            lines.append(line(name, batch, measure(Path(folder), args.turns)))
    heads = ["net", "batch", "Caffe, s an iteration", "torch, s an iteration", "times Caffe's speed", "of its turns"]
    print(tabulate(lines, heads, "github", disable_numparse=True))
    print(f"\n{machine()}; {args.turns} turns of {args.iterations} iterations each, medians")


if __name__ == "__main__":
    main()
