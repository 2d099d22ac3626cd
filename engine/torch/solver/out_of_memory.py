"""Out-of-memory errors that say which batch size would fit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import clear_frames

import torch
from torch import Tensor

from emotiw.engine.torch.layers.data_source import Shape
from emotiw.engine.torch.layers.inputs import Data
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError


@contextmanager
def memory_advice(net: Net, iter_size: int | None = None) -> Iterator[None]:
    """Run a net's passes in the block; if memory does not suffice, the error says which batch size would fit.

    The size is found by trial, with everything else that is in the memory.

    Parameters
    ----------
    net
        If this raises, its blobs and gradients have been freed.
    iter_size
        The solver's, for forward and backward passes; None: forward passes of a test.

    Raises
    ------
    EmotiwError
        If torch raises OutOfMemoryError, which this replaces.
    """
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        clear_frames(error.__traceback__)  # the frames hold the blobs of the pass
    raise EmotiwError(_advice(net, iter_size))


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number from 1 to `most` that fits, if all smaller ones fit; 0 if none does."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(middle) else (least, middle - 1)
    return least


def _advice(net: Net, iter_size: int | None) -> str:
    data = [layer for layer in net.layers if isinstance(layer, Data)]
    device = torch.cuda.get_device_name(net.device) if net.device.type == "cuda" else "this machine"
    into = f"does not fit into the memory of {device}"
    if not data:
        return f"{net.graph.name!r} {into}; no smaller batch was tried, because no Data layer gives its size"
    batch = data[0].top_shapes[0][0]
    kind = "batch" if iter_size else "a test's batch"
    try:
        found = largest(batch - 1, lambda size: _runs(net, data, size, bool(iter_size)))
    except EmotiwError as error:
        return f"{kind} {batch} {into}; which size would fit was not found: {error}"
    if not found:
        return f"{kind} {batch} {into}, nor does a smaller one: use another device, or a smaller net"
    part = max(size for size in range(1, found + 1) if batch % size == 0)
    times = batch // part
    more = f"iter_size {iter_size * times}" if iter_size else f"test_iter {times} times as large"
    return f"{kind} {batch} {into}: {found} fits; set batch_size {part} and {more}"


class _Zeros:
    """A source of batches of zeros, labels included."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes

    def next(self) -> list[Tensor]:
        return [torch.zeros(shape) for shape in self.shapes]


def _runs(net: Net, data: list[Data], size: int, training: bool) -> bool:
    """Return whether a pass with this batch size fits into memory."""
    net.forget()
    sources = [layer.source for layer in data]
    for layer in data:
        layer.source = _Zeros([(size, *shape[1:]) for shape in layer.top_shapes])
    try:
        with torch.set_grad_enabled(training):
            loss = net()
        if loss.requires_grad:
            learning = [one.blob for one in net.learnable if one.blob.requires_grad]
            with net.computing():
                torch.autograd.grad(loss, learning, allow_unused=True)  # `backward` would trigger DDP's all-reduce
        return True
    except torch.OutOfMemoryError as error:
        clear_frames(error.__traceback__)
        return False
    finally:
        for layer, source in zip(data, sources, strict=True):
            layer.source = source
        net.forget()
