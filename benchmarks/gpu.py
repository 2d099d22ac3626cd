"""How much of a GPU's speed the torch engine uses: fed from an LMDB, beside the same net written by hand on noise.

python benchmarks/gpu.py [--net NET] [--precision float32|tf32|bf16]    the rates of both, and of the reading alone

By hand is torch.nn with torch.optim.SGD, the batch already on the GPU: what remains is the nets' own arithmetic.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

import pyperf
import torch
from alternating import TURNS, Row, Turns
from engines import SOLVER, write_run
from torch import Tensor, nn

from emotiw.engine import PRECISIONS
from emotiw.engine.leash import leashed, running
from emotiw.engine.torch.data import LmdbSource, Sources
from emotiw.engine.torch.precision import precision_of
from emotiw.engine.torch.scheme import read_solver
from emotiw.engine.torch.solver import Solver
from emotiw.prototxt.nets import EMOTIONS, NETS, Net
from emotiw.prototxt.vgg import Vgg

Step = Callable[[int], object]
NET, ITERATIONS = "vgg_s", 50


def by_hand(net: Net) -> nn.Sequential:
    """Return a net of the VGG family as anybody would write it in torch."""
    layers: list[nn.Module] = []
    assert isinstance(net.topology, Vgg)
    for block in net.topology.blocks:
        geometry = {"padding" if key == "pad" else key: value for key, value in block.geometry.items()}
        layers += [nn.LazyConv2d(block.num_output, block.kernel_size, **geometry), nn.ReLU(inplace=True)]
        if block.norm:
            layers.append(nn.LocalResponseNorm(5, 0.0005, 0.75, net.topology.norm.get("k", 1)))
        if block.pool:
            layers.append(nn.MaxPool2d(*block.pool, ceil_mode=True))
    layers.append(nn.Flatten())
    for width in net.topology.widths:
        layers += [nn.LazyLinear(width), nn.ReLU(inplace=True), nn.Dropout(net.topology.dropout["finetune"])]
    return nn.Sequential(*layers, nn.LazyLinear(EMOTIONS))


def steps_by_hand(net: nn.Sequential, images: Tensor, labels: Tensor, precision: str) -> Step:
    """Return what trains a net on one batch, again and again, a number of times."""
    net.to(images.device)(images)  # so it learns its shapes
    precise = precision_of(precision, images.device)
    optimizer = torch.optim.SGD(net.parameters(), 1e-4, 0.9, weight_decay=5e-4, fused=True)

    def step(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            with precise.computing():
                with torch.autocast(images.device.type, precise.multiplied, enabled=precise.multiplied is not None):
                    loss = nn.functional.cross_entropy(net(images), labels)
                loss.backward()
            optimizer.step()

    return step


def rate(step: Step, batch: int, iterations: int, device: torch.device) -> float:
    """Return images a second."""
    _wait(device)
    begun = pyperf.perf_counter()
    step(iterations)
    _wait(device)
    return batch * iterations / (pyperf.perf_counter() - begun)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def read(source: LmdbSource) -> Step:
    """Return what reads batches and does nothing with them."""
    return lambda count: [source.next() for _ in range(count)]


@contextmanager
def utilisation(device: torch.device) -> Iterator[list[float]]:
    """Yield a list that holds, behind the block, how busy nvidia-smi saw the GPU, in percent, five times a second."""
    seen: list[float] = []
    if device.type != "cuda":
        yield seen
        return
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    identifier = str(torch.cuda.get_device_properties(device).uuid)
    asked = leashed(["nvidia-smi", f"--id=GPU-{identifier}", *query], stdout=subprocess.PIPE)
    with running(asked):
        yield seen
        asked.terminate()
        told = asked.communicate()[0].decode()
    seen += [float(line) for line in told.splitlines() if line.strip().isdigit()]


def measure(
    folder: Path, name: str, batch: int, device: torch.device, precision: str, turns: int, iterations: int
) -> dict[str, list[float]]:
    """Return the rates of each turn of the engine, the hand-written net and the reading, and the utilisation."""
    found: dict[str, list[float]] = {"engine": [], "by hand": [], "reading": [], "utilisation": []}
    with Sources(folder, device) as sources:
        param = read_solver(SOLVER, folder)
        param.display = 0  # to show a loss is to wait for it
        solver = Solver(param, folder, sources, device, precision=precision)
        side = NETS[name].crop
        labels = torch.arange(batch, device=device) % EMOTIONS
        net = by_hand(NETS[name])
        hand = steps_by_hand(net, torch.randn(batch, 3, side, side, device=device), labels, precision)
        assert [one.blob.shape for one in solver.net.learnable] == [weight.shape for weight in net.parameters()]
        data = solver.net.layers[0].param
        reading = read(sources(data))
        for step in (solver.step, hand, reading):
            step(5)
        for _ in range(turns):
            found["engine"].append(rate(solver.step, batch, iterations, device))
            found["by hand"].append(rate(hand, batch, iterations, device))
            reading(data.data_param.prefetch)  # what was read ahead in the meantime
            found["reading"].append(rate(reading, batch, iterations, device))
        with utilisation(device) as busy:  # apart: to be watched costs time
            rate(solver.step, batch, turns * iterations, device)
        found["utilisation"] += busy
    return found


class NoGpuError(Exception):
    """There is no GPU that torch can use."""


def row_of(folder: Path, name: str, precision: str) -> Turns:
    """Return the seconds an image of the engine, and of the net by hand."""
    if not torch.cuda.is_available():
        raise NoGpuError
    device = torch.device("cuda")
    batch = write_run(folder, name, None, ITERATIONS)
    found = measure(folder, name, batch, device, precision, TURNS, ITERATIONS)
    ours, theirs = ([1 / rate for rate in found[who]] for who in ("engine", "by hand"))
    seen = found["utilisation"]
    busy = f"the GPU busy {fmean(seen):.0f}% of the time" if seen else "how busy the GPU was, nobody told"
    return Turns(ours, theirs, {"reading of the LMDB": 1 / median(found["reading"])}, busy)


ROWS = {
    f"gpu-{precision}": Row(
        f"a training iteration on a GPU, {NET}, {precision}, from an LMDB; seconds an image",
        "the same net by hand in torch, on noise",
        partial(row_of, name=NET, precision=precision),
        least=0.9,
    )
    for precision in PRECISIONS
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    family = [name for name, net in NETS.items() if isinstance(net.topology, Vgg)]
    parser.add_argument("--net", choices=family, default=NET, help="(default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="(default: %(default)s)")
    parser.add_argument("--device", type=torch.device, default="cuda", help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, help="images an iteration; the net's own, unless given")
    parser.add_argument("--turns", type=int, default=TURNS, help="of each (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="in each turn (default: %(default)s)")
    args = parser.parse_args(arguments)
    device = args.device
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; to try the script itself: --device cpu --net vgg_s_small")
    with TemporaryDirectory() as folder:
        batch = write_run(Path(folder), args.net, args.batch, args.iterations)
        found = measure(Path(folder), args.net, batch, device, args.precision, args.turns, args.iterations)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{args.net}, batch {batch}, {args.precision}, on {where}, images a second:")
    print(f"  {median(found['engine']):.0f} by the torch engine, from an LMDB")
    print(f"  {median(found['by hand']):.0f} by the same net written by hand, on noise")
    print(f"  {median(found['reading']):.0f} are read, cropped, mirrored where nothing else is done")
    shares = [ours / theirs for ours, theirs in zip(found["engine"], found["by hand"], strict=True)]
    print(f"the engine's share of the rate by hand: {median(shares):.0%}, {min(shares):.0%} to {max(shares):.0%}")
    if found["utilisation"]:
        print(f"utilisation of the GPU while the engine trained: {fmean(found['utilisation']):.0f} %")


if __name__ == "__main__":
    main()
