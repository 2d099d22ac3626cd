"""Which batch would fit, where memory does not hold one."""

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
def memory_told(net: Net, iter_size: int | None = None) -> Iterator[None]:
    """Run passes of a net; where its device's memory is too short for them, say which batch would do.

    That is found by trying, with what else there is in that memory.

    Parameters
    ----------
    net
        It has no blobs and no gradients any more where this raises.
    iter_size
        The solver's, of forward and backward passes; None: they are forward ones, of a test.

    Raises
    ------
    EmotiwError
        Instead of torch's OutOfMemoryError.
    """
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        clear_frames(error.__traceback__)  # which hold the blobs of the pass
    raise EmotiwError(_advice(net, iter_size))


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number from 1 to `most` that fits, where all smaller ones do; 0 where none does."""
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
        return f"{net.graph.name!r} {into}; a batch that would is not looked for: no Data layer says its size"
    batch = data[0].top_shapes[0][0]
    kind = "batch" if iter_size else "a test's batch"
    try:
        found = largest(batch - 1, lambda size: _runs(net, data, size, bool(iter_size)))
    except EmotiwError as error:
        return f"{kind} {batch} {into}; which one would was not found, for {error}"
    if not found:
        return f"{kind} {batch} {into}, nor would a smaller one: take another device, or a smaller net"
    part = max(size for size in range(1, found + 1) if batch % size == 0)
    times = batch // part
    more = f"iter_size {iter_size * times}" if iter_size else f"test_iter {times} times as large"
    return f"{kind} {batch} {into}: {found} would; set batch_size {part} and {more}"


class _Zeros:
    """A source of batches of zeros, labels too."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes

    def next(self) -> list[Tensor]:
        return [torch.zeros(shape) for shape in self.shapes]


def _runs(net: Net, data: list[Data], size: int, training: bool) -> bool:
    """Return whether memory holds a pass of that batch."""
    net.forget()
    sources = [layer.source for layer in data]
    for layer in data:
        layer.source = _Zeros([(size, *shape[1:]) for shape in layer.top_shapes])
    try:
        with torch.set_grad_enabled(training):
            loss = net()
        if loss.requires_grad:
            learning = [one.blob for one in net.learnable if one.blob.requires_grad]
            with net.precision.computing():
                torch.autograd.grad(loss, learning, allow_unused=True)  # `backward` would tell other ranks
        return True
    except torch.OutOfMemoryError as error:
        clear_frames(error.__traceback__)
        return False
    finally:
        for layer, source in zip(data, sources, strict=True):
            layer.source = source
        net.forget()
