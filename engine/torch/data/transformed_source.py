"""Sources whose images a thread reads and transforms ahead of the net."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from emotiw.engine.torch.layers.data_source import Classes, Shape
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import Pixels

from .datum_reader import Record
from .prefetch import Ahead
from .transformer import Transformer


@dataclass(frozen=True)
class Place:
    """A position in a source: the number of batches given, and the generator's state after the last one."""

    batches: int
    random: Tensor


class Images(Protocol):
    """Labelled images in an order, again and again.

    Attributes
    ----------
    path
        Where they are, for errors.
    """

    @property
    def path(self) -> Path:
        """Return the path."""
        ...

    def first(self) -> Pixels:
        """Return the first image."""
        ...

    def batches(self, size: int, expected: Sequence[Classes] = (), skipped: int = 0) -> Generator[list[Record]]:
        """Yield batches forever, after skipping `skipped` batches; refuse labels that are not in each of `expected`."""
        ...


class TransformedSource:
    """Batches of images and labels. Reading begins with the first `next`; a source keeps its position while it is open.

    Parameters
    ----------
    images
        They are read in a thread.
    transformer
        Makes a batch of them, on `device`.
    batch_size, depth
        The images of a batch, and the largest number of batches made ahead.

    Attributes
    ----------
    shapes
        The shapes of a batch that begins with the first image.
    expected
        Each label must be in all of these; add to the list before the first `next`.
    place
        Its current position.

    Raises
    ------
    EmotiwError
        If the first image does not fit the transformer.
    """

    def __init__(
        self, images: Images, transformer: Transformer, batch_size: int, depth: int, device: torch.device | str
    ) -> None:
        first = images.first()
        with _placed(images.path):
            shape = transformer.shape(first.shape)
        self.shapes: list[Shape] = [(batch_size, *shape), (batch_size,)]
        self.expected: list[Classes] = []
        self._transformer, self._depth = transformer, depth
        self._read = partial(images.batches, batch_size, self.expected)
        self._path, self._device = images.path, torch.device(device)
        self.begin_at(Place(0, transformer.generator.get_state()))

    def begin_at(self, place: Place) -> None:
        """Continue after `place`; call it before the first `next`."""
        self.place = place
        self._transformer.generator.set_state(place.random)
        read = partial(self._read, skipped=place.batches)
        self._ahead = Ahead(partial(_batches, self._path, read, self._transformer, self._device), self._depth)

    def next(self) -> list[Tensor]:
        """Return the next batch, on the device: images (N, C, H, W) and labels (N,), both float32.

        Raises
        ------
        EmotiwError
            If a record is damaged, or an image does not fit.
        """
        batch, random, ready = self._ahead.next()
        self.place = Place(self.place.batches + 1, random)
        if ready is not None:  # made on another stream than the net's
            current = torch.cuda.current_stream(batch[0].device)
            current.wait_event(ready)
            for made in batch:
                made.record_stream(current)
        return batch

    def close(self) -> None:
        """Stop reading."""
        self._ahead.close()


def _batches(
    path: Path, read: Callable[[], Generator[list[Record]]], transformer: Transformer, device: torch.device
) -> Generator[tuple[list[Tensor], Tensor, torch.cuda.Event | None]]:
    """Yield batches forever, on the device, with the generator's state after each, and a CUDA event.

    The event marks that the batch is made; it is None on a CPU.

    A GPU makes them while the net computes, in gaps between its kernels; this function does not wait for that.
    """
    stream = None
    if device.type == "cuda":
        stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.default_stream(device))  # on which the mean was uploaded
    with closing(read()) as batches:
        for batch in batches:
            images, labels = zip(*batch, strict=True)
            numbers = torch.tensor(labels, dtype=torch.float32, pin_memory=stream is not None)
            with torch.cuda.stream(stream), _placed(path):
                made = [transformer(images), numbers.to(device, non_blocking=True)]
            yield made, transformer.generator.get_state(), stream.record_event() if stream else None


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Name where the images are in an error about them."""
    try:
        yield
    except EmotiwError as error:
        raise EmotiwError(f"{path}: {error}") from None
