"""The time of a whole training iteration in each engine: data, both passes and the update, on this machine's CPU."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternating import Row, Turns, in_turns, on_cores

from emotiw.data_prep.lmdb_writer import LmdbWriter
from emotiw.engine.base import Engine, Event, Loss
from emotiw.engine.registry import open_engine
from emotiw.engine.settings import ENGINES, EngineSettings
from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.weights import write_weights
from emotiw.engine.training_log import LOG
from emotiw.prototxt.formats.datum import encode
from emotiw.prototxt.formats.messages import NetParameter, format_text, read_text
from emotiw.prototxt.surgery import committed, crop_size, set_size, use_set
from emotiw.prototxt.zoo.nets import EMOTIONS, NETS

IMAGES = 64
WARM = 2  # iterations that are not timed: memory is allocated, threads start
COMPARED = 4  # iterations whose losses are compared
MOST_APART = 2e-4  # of a loss: after some iterations rounding makes a ReLU active in one engine and not in the other
MOST_APART_BF16 = 2e-3  # of bf16's from float32's
LEARNED = 10  # losses must change by this multiple of the tolerance, or they could not show a wrong gradient
RATES = {"googlenet": 1e-4, "googlenet_small": 1e-2}  # base_lr of a comparison
RATE = 1e-3  # of the others
SOLVER, NET, START = Path("solver.prototxt"), "net.prototxt", "start.caffemodel"
# The line that both engines log for an iteration, with its time in glog's prefix, which the torch engine writes, too.
_LOGGED = re.compile(r"^I\d{4,8} (\d+):(\d+):(\d+\.\d+) .*\bIteration \d+\b.*, loss = ", re.MULTILINE)
_DAY = 86400
BF16 = ("bf16", "float32")  # precisions that are timed in turns
CPUINFO = Path("/proc/cpuinfo")


def write_images(folder: Path, count: int, side: int) -> None:
    """Write `<folder>/lmdb`, images of side x side that are noise on a picture for each label, and their mean."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 128, (EMOTIONS, side, side, 3), np.uint8)
    with LmdbWriter(folder / "lmdb") as writer:
        labels = [k % EMOTIONS for k in range(count)]
        images = (pictures[label] + rng.integers(0, 128, (side, side, 3), np.uint8) for label in labels)
        coded = (encode(image, label, "raw") for image, label in zip(images, labels, strict=True))
        writer.store((f"{k:08d}".encode(), image) for k, image in enumerate(coded))
        writer.write_mean(folder / "mean.binaryproto")


def write_run(folder: Path, name: str, batch: int | None, iterations: int, alike: bool = False) -> int:
    """Write images as an LMDB, their mean, and a net's fine-tuning with them; return the batch size.

    Parameters
    ----------
    batch
        The batch size; None: the net's own.
    iterations
        The number of timed iterations.
    alike
        Remove all randomness, for a comparison: one batch of images of the crop's size, without mirrors or dropout.
    """
    net, solver = (committed(name, f"{file}_finetune.prototxt") for file in ("train_val", "solver"))
    data = net.layer[0].data_param
    data.batch_size = batch or data.batch_size
    folder.mkdir(parents=True, exist_ok=True)
    write_images(folder, *((data.batch_size, crop_size(net)) if alike else (IMAGES, set_size(net))))
    use_set(net, {"TRAIN": "lmdb", "TEST": "lmdb"}, "mean.binaryproto")
    if alike:
        without_chance(net)
    for field in ("test_iter", "test_interval", "snapshot"):
        solver.ClearField(field)
    # In a timed run the weights must not change: a loss that is not finite would end it.
    solver.base_lr = RATES.get(name, RATE) if alike else 1e-6
    # Both engines display once more after the last iteration, without an update.
    solver.net, solver.display, solver.max_iter = NET, 1, iterations if alike else WARM + iterations + 1
    solver.snapshot_after_train = False
    (folder / NET).write_text(format_text(net), encoding="utf-8")
    (folder / SOLVER).write_text(format_text(solver), encoding="utf-8")
    return int(data.batch_size)


def without_chance(net: Any) -> None:
    """Remove mirroring and dropout from a train_val, because each engine draws other random numbers."""
    net.layer[0].transform_param.mirror = False
    for layer in net.layer:
        if layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0


def write_start(folder: Path) -> Path:
    """Write the starting weights of a comparison, for the net in `folder`: from its fillers, with random biases.

    With many equal biases, the maxima of windows, and which ReLUs are active, would depend on the last bit.
    """
    with Sources(folder) as sources:
        net = Net(graph_of(read_text(folder / NET, NetParameter), State("TRAIN")), sources, seed=0)
    generator = torch.Generator().manual_seed(1)
    for _, bias in net.params.values():
        bias.data.normal_(0, 0.1, generator=generator)
    write_weights(folder / START, net)
    return folder / START


def losses(engine: Engine, folder: Path) -> list[float]:
    """Return the losses of a written run, from its `START`."""
    found: list[float] = []

    def note(event: Event) -> None:
        """Collect the losses among the engine's events."""
        if isinstance(event, Loss):
            found.append(event.loss)

    engine.train(folder / SOLVER, note, weights=folder / START)
    return found


def same_losses(ours: Sequence[float], theirs: Sequence[float], most: float = MOST_APART) -> None:
    """Raise if losses differ by more than the fraction `most`, or did not change enough to show a fault."""
    apart = np.abs(np.divide(ours, theirs) - 1)
    if not (len(ours) == len(theirs) and apart.max() <= most):
        raise SystemExit(f"different losses: {ours} and {theirs}")
    if abs(theirs[-1] / theirs[0] - 1) < LEARNED * most:
        raise SystemExit(f"these losses hardly change, and so show nothing: {theirs}")


def compare(folder: Path, name: str, ours: Engine, theirs: Engine, most: float = MOST_APART) -> None:
    """Raise if two engines give different losses from the same weights on the same images."""
    write_run(folder, name, batch_of(name), COMPARED, alike=True)
    write_start(folder)
    same_losses(losses(ours, folder), losses(theirs, folder), most)


def seconds(engine: Engine, folder: Path) -> float:
    """Return the average seconds of an iteration, from one displayed loss to the next by the times in the log."""
    (folder / LOG).unlink(missing_ok=True)
    engine.train(folder / SOLVER, lambda event: None)
    logged = _LOGGED.findall((folder / LOG).read_text(encoding="utf-8"))
    moments = [float(h) * 3600 + float(m) * 60 + float(s) for h, m, s in logged][WARM:-1]
    return (moments[-1] - moments[0]) % _DAY / (len(moments) - 1)


def batch_of(name: str) -> int:
    """Return the batch size to time: a small net's own; for large ones, what two cores can do in seconds."""
    return 30 if name.endswith("_small") else 10


def iterations_of(name: str) -> int:
    """Return the number of iterations to time, which take some seconds."""
    return 30 if name.endswith("_small") else 3


def measure(folder: Path, name: str) -> Turns:
    """Time the engines in turns on a net's fine-tuning, after checking that they compute the same."""
    with on_cores(2):
        caffe, torch = (open_engine(EngineSettings(engine, gpu="none")) for engine in ENGINES)
        compare(folder / "alike", name, torch, caffe)
        return timed_in_turns(folder / "timed", name, torch, caffe)


def measure_bf16(folder: Path, name: str) -> Turns:
    """Time the torch engine with bf16 and with float32 in turns, after checking that they compute almost the same."""
    with on_cores(2):
        bf16, float32 = (open_engine(EngineSettings("torch", gpu="none", precision=each)) for each in BF16)
        compare(folder / "alike", name, bf16, float32, MOST_APART_BF16)
        turns = timed_in_turns(folder / "timed", name, bf16, float32)
    return Turns(turns.ours, turns.theirs, note=f"the processor has {bf16_units(CPUINFO.read_text(encoding='ascii'))}")


def timed_in_turns(folder: Path, name: str, ours: Engine, theirs: Engine) -> Turns:
    """Time two engines in turns on a net's fine-tuning."""
    write_run(folder, name, batch_of(name), iterations_of(name))
    return Turns(*in_turns(partial(seconds, ours, folder), partial(seconds, theirs, folder)))


def bf16_units(cpuinfo: str) -> str:
    """Return the instruction sets for bf16 in the text of /proc/cpuinfo."""
    flags = cpuinfo.partition("flags")[2].partition("\n")[0].split()
    return " and ".join(flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags) or "no instructions for bf16"


ROWS = {
    f"train-{name}": Row(
        f"a training iteration, {name}, batch {batch_of(name)}, torch engine, two cores",
        "`caffe train` of the real Caffe, same LMDB",
        partial(measure, name=name),
        least=1,
    )
    for name in NETS
} | {
    # Not googlenet: after five iterations its losses in bf16 are 0.3 % apart from float32's, more than is called equal.
    "train-vgg_s-bf16": Row(
        f"a training iteration, vgg_s, batch {batch_of('vgg_s')}, torch engine with bf16, two cores",
        "the torch engine with float32, same LMDB",
        partial(measure_bf16, name="vgg_s"),
        least=1,
    )
}
