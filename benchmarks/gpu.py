"""The torch engine's speed on a GPU, fed from an LMDB, compared with the same net written by hand, on noise.

python benchmarks/gpu.py [--net NET] [--precision float32|tf32|bf16]    the rates of both, and of reading only
python benchmarks/gpu.py --tunings [...]    the speed with each option of `Tuning`, and all, relative to that with none

"By hand" is torch.nn with torch.optim.SGD, the batch already on the GPU: only the net's arithmetic remains.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import peaks
import pyperf
import torch
from alternating import TURNS, Row, Turns, in_turns
from engines import COMPARED, SOLVER, same_losses, write_run, write_start
from torch import Tensor, nn

from emotiw.engine.base import Event, Loss
from emotiw.engine.settings import PRECISIONS
from emotiw.engine.torch.data.lmdb_source import LmdbSource, Sources
from emotiw.engine.torch.precision import precision_of
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.solver.solver_param import read_solver
from emotiw.engine.torch.tuning import UNTUNED, Tuning
from emotiw.engine.torch.weights import copy_from
from emotiw.prototxt.zoo.nets import EMOTIONS, NETS, Net
from emotiw.prototxt.zoo.vgg import Vgg

Step = Callable[[int], object]
NET, ITERATIONS = "vgg_s", 50
TUNINGS = {
    "compiled_lrn": Tuning(compiled_lrn=True),
    "cudnn_benchmark": Tuning(cudnn_benchmark=True),
    "channels_last": Tuning(channels_last=True),
    "all": Tuning(channels_last=True, cudnn_benchmark=True, compiled_lrn=True),
}
# The largest relative difference of a loss by hand from the engine's.
MOST_APART = {"float32": 1e-3, "tf32": 1e-3, "bf16": 2e-3}


def by_hand(net: Net, dropout: float | None = None) -> nn.Sequential:
    """Return a net of the VGG family as one would usually write it in torch.

    Parameters
    ----------
    dropout
        Replaces the net's own ratio.
    """
    assert isinstance(net.topology, Vgg)
    dropout = net.topology.dropout["finetune"] if dropout is None else dropout
    layers: list[nn.Module] = []
    for block in net.topology.blocks:
        geometry = {"padding" if key == "pad" else key: value for key, value in block.geometry.items()}
        layers += [nn.LazyConv2d(block.num_output, block.kernel_size, **geometry), nn.ReLU(inplace=True)]
        if block.norm:
            layers.append(nn.LocalResponseNorm(5, 0.0005, 0.75, net.topology.norm.get("k", 1)))
        if block.pool:
            layers.append(nn.MaxPool2d(*block.pool, ceil_mode=True))
    layers.append(nn.Flatten())
    for width in net.topology.widths:
        layers += [nn.LazyLinear(width), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.LazyLinear(EMOTIONS))


def steps_by_hand(
    net: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    precision: str,
    rate: float = 1e-4,
    groups: Iterable[Any] | None = None,
) -> Callable[[int], Tensor]:
    """Return a function that trains a net on one batch a number of times, and returns the last loss.

    Parameters
    ----------
    groups
        torch.optim's parameter groups; None: all parameters, with one rate.
    """
    precise = precision_of(precision, images.device)
    optimizer = torch.optim.SGD(groups or net.parameters(), rate, 0.9, weight_decay=5e-4, fused=True)

    def step(count: int) -> Tensor:
        """Train `count` iterations on the batch; return the last loss, without waiting for the GPU."""
        loss = torch.zeros(())
        for _ in range(count):
            optimizer.zero_grad()
            with precise.computing():
                with torch.autocast(images.device.type, precise.multiplied, enabled=precise.multiplied is not None):
                    loss = nn.functional.cross_entropy(net(images), labels)
                loss.backward()
            optimizer.step()
        return loss.detach()

    return step


def compare(
    folder: Path, name: str, batch: int, device: torch.device, precision: str, tuning: Tuning = UNTUNED
) -> None:
    """Raise if engine and net by hand give different losses from the same weights on the same batch."""
    write_run(folder, name, batch, COMPARED, alike=True)
    start = write_start(folder)
    ours: list[float] = []

    def note(event: Event) -> None:
        """Collect the engine's losses."""
        if isinstance(event, Loss):
            ours.append(event.loss)

    with Sources(folder, device) as sources:
        param = read_solver(SOLVER, folder)
        solver = Solver(param, folder, sources, device, precision, tuning)
        solver.on_progress = note
        copy_from(solver.net, start)
        net = by_hand(NETS[name], dropout=0).to(device)
        with torch.no_grad():
            net(torch.zeros(solver.net.shapes["data"], device=device))  # sets the shapes
            for weight, one in zip(net.parameters(), solver.net.learnable, strict=True):
                weight.copy_(one.blob)
        solver.step(COMPARED)
        images, labels = (solver.net.blobs[blob].detach().clone() for blob in ("data", "label"))
        groups = [
            {
                "params": [weight],
                "lr": param.base_lr * one.lr_mult,
                "weight_decay": param.weight_decay * one.decay_mult,
            }
            for weight, one in zip(net.parameters(), solver.net.learnable, strict=True)
        ]
        hand = steps_by_hand(net, images.float(), labels.long(), precision, groups=groups)
        same_losses(ours, [float(hand(1)) for _ in range(COMPARED)], MOST_APART[precision])


def rate(step: Step, batch: int, iterations: int, device: torch.device) -> float:
    """Return the images per second of `step` in `iterations` iterations of `batch` images."""
    _wait(device)
    begun = pyperf.perf_counter()
    step(iterations)
    _wait(device)
    return batch * iterations / (pyperf.perf_counter() - begun)


def _wait(device: torch.device) -> None:
    """Wait until a GPU has done what was started: its kernels run on after the call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def read(source: LmdbSource) -> Step:
    """Return a function that only reads batches."""

    def step(count: int) -> None:
        """Read `count` batches."""
        for _ in range(count):
            source.next()

    return step


@dataclass(frozen=True)
class Rates:
    """Images per second in each turn, of the engine and of the net by hand, and of reading without training."""

    engine: Sequence[float]
    by_hand: Sequence[float]
    reading: Sequence[float]


def measure(
    folder: Path, name: str, batch: int, device: torch.device, precision: str, turns: int, iterations: int
) -> Rates:
    """Return the rates in `turns` turns of `iterations` iterations, after checking that both compute the same."""
    compare(folder / "alike", name, batch, device, precision)
    timed = folder / "timed"
    write_run(timed, name, batch, iterations)
    with Sources(timed, device) as sources:
        param = read_solver(SOLVER, timed)
        param.display = 0  # displaying a loss would wait for it
        solver = Solver(param, timed, sources, device, precision)
        side = NETS[name].crop
        images, labels = torch.randn(batch, 3, side, side, device=device), torch.arange(batch, device=device) % EMOTIONS
        net = by_hand(NETS[name]).to(device)
        net(images)  # sets the shapes
        hand = steps_by_hand(net, images, labels, precision)
        data = solver.net.layers[0].param
        reading = read(sources(data))
        for step in (solver.step, hand, reading):
            step(5)
        rate_of = partial(rate, batch=batch, iterations=iterations, device=device)
        engine, other = in_turns(partial(rate_of, solver.step), partial(rate_of, hand), turns)
        reading(data.data_param.prefetch)  # skip batches that were prefetched in the meantime
        return Rates(engine, other, [rate_of(reading) for _ in range(turns)])


def speedups(
    folder: Path,
    name: str,
    batch: int,
    device: torch.device,
    precision: str,
    tuning: Tuning,
    turns: int,
    iterations: int,
) -> list[float]:
    """Return the tuned engine's rate relative to the untuned one's, in turns, after checking the tuned losses."""
    compare(folder / "alike", name, batch, device, precision, tuning)
    timed = folder / "timed"
    write_run(timed, name, batch, iterations)
    steps = []
    with Sources(timed, device) as sources:
        for each in (tuning, UNTUNED):
            param = read_solver(SOLVER, timed)
            param.display = 0
            steps.append(Solver(param, timed, sources, device, precision, each).step)
            steps[-1](5)
        rate_of = partial(rate, batch=batch, iterations=iterations, device=device)
        tuned, untuned = in_turns(*(partial(rate_of, step) for step in steps), turns)
    return [ours / theirs for ours, theirs in zip(tuned, untuned, strict=True)]


class NoGpuError(Exception):
    """There is no GPU that torch can use."""


def row_of(folder: Path, name: str, precision: str) -> Turns:
    """Return the seconds per image of the engine, and of the net by hand."""
    if not torch.cuda.is_available():
        raise NoGpuError
    device = torch.device("cuda")
    found = measure(folder, name, own_batch(name), device, precision, TURNS, ITERATIONS)
    ours, theirs = ([1 / rate for rate in rates] for rates in (found.engine, found.by_hand))
    used = peaks.share(name, median(ours), torch.cuda.get_device_name(device), precision)
    return Turns(ours, theirs, {"reading of the LMDB": 1 / median(found.reading)}, used)


def own_batch(name: str) -> int:
    """Return the batch size of a net's own fine-tuning."""
    return NETS[name].batch_size["finetune"]


ROWS = {
    f"gpu-{precision}": Row(
        f"a training iteration on a GPU, {NET}, batch {own_batch(NET)}, {precision}, from an LMDB; seconds an image",
        "the same net by hand in torch, on noise that is on the GPU",
        partial(row_of, name=NET, precision=precision),
        least=0.9,
    )
    for precision in PRECISIONS
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one net on one device, and print the rates in images per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    family = [name for name, net in NETS.items() if isinstance(net.topology, Vgg) and net.input_scale == 1]
    parser.add_argument("--net", nargs="+", choices=family, default=[NET], help=f"(default: {NET})")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["float32"], help="(default: float32)")
    parser.add_argument("--device", type=torch.device, default="cuda", help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, help="images an iteration; the net's own, unless given")
    parser.add_argument("--turns", type=int, default=TURNS, help="of each (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="in each turn (default: %(default)s)")
    parser.add_argument("--tunings", action="store_true", help="measure the options of `Tuning` instead")
    args = parser.parse_args(arguments)
    device = args.device
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; to try the script itself: --device cpu --net vgg_s_small")
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    for name, precision in product(args.net, args.precision):
        batch = args.batch or own_batch(name)
        setting = name, batch, device, precision
        about = f"{name}, batch {batch}, {precision}, on {where}"
        for title, tuning in TUNINGS.items() if args.tunings else ():
            with TemporaryDirectory() as folder:
                found = speedups(Path(folder), *setting, tuning, args.turns, args.iterations)
            print(f"{about}, {title}: {median(found):.3g} times the untuned rate, {min(found):.3g} to {max(found):.3g}")
        if args.tunings:
            continue
        with TemporaryDirectory() as folder:
            rates = measure(Path(folder), *setting, args.turns, args.iterations)
        print(f"{about}, images a second:")
        print(f"  {median(rates.engine):.3g} by the torch engine, from an LMDB")
        print(f"  {median(rates.by_hand):.3g} by the same net written by hand, on noise")
        print(f"  {median(rates.reading):.3g} by reading, cropping and mirroring only")
        shares = [ours / theirs for ours, theirs in zip(rates.engine, rates.by_hand, strict=True)]
        print(f"the engine's share of the rate by hand: {median(shares):.0%}, {min(shares):.0%} to {max(shares):.0%}")
        if device.type == "cuda":
            print(f"the engine: {peaks.share(name, 1 / median(rates.engine), where, precision)}")


if __name__ == "__main__":
    main()
