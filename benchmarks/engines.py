"""How long a whole training iteration takes in each engine: data, both passes and the update, on this machine's CPU."""

from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pyperf
from alternating import TURNS, Row, Turns

from emotiw.data_prep.datum import encode
from emotiw.data_prep.writing import LmdbWriter
from emotiw.engine import ENGINES
from emotiw.engine.events import Event, Loss
from emotiw.engine.interface import Engine
from emotiw.engine.opening import open_engine
from emotiw.prototxt.execution import committed, set_size, use_set
from emotiw.prototxt.messages import format_text
from emotiw.prototxt.nets import EMOTIONS, NETS

IMAGES, ITERATIONS = 64, 3
WARM = 2  # iterations that are not counted: memory is taken, threads begin
SOLVER = Path("solver.prototxt")


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
        images = (rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(IMAGES))
        writer.store((f"{k:08d}".encode(), encode(image, k % EMOTIONS, "raw")) for k, image in enumerate(images))
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
            moments.append(pyperf.perf_counter())

    engine.train(folder / SOLVER, note)
    return median(after - before for before, after in pairwise(moments[WARM:-1]))


def batch_of(name: str) -> int:
    """Return the batch that is timed: a small net's own; of the large ones as much as two cores do in seconds."""
    return 30 if name.endswith("_small") else 10


def measure(folder: Path, name: str) -> Turns:
    """Let the engines take turns at a net's fine-tuning."""
    write_run(folder, name, batch_of(name), ITERATIONS)
    caffe, torch = (open_engine(engine, gpu="none") for engine in ENGINES)
    pairs = [(seconds(torch, folder), seconds(caffe, folder)) for _ in range(TURNS)]
    return Turns(*zip(*pairs, strict=True))


ROWS = {
    f"train-{name}": Row(
        f"a training iteration, {name}, batch {batch_of(name)}, torch engine, two cores",
        "`caffe train` of the real Caffe, same LMDB",
        partial(measure, name=name),
        least=1,
    )
    for name in NETS
}
