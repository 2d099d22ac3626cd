"""Sources of Data layers: LMDBs, prefetched and transformed on the device."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from emotiw.engine.torch.graph import PHASES
from emotiw.engine.torch.layers.data_source import Classes, Shape
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import Colour
from emotiw.prototxt.formats.layer_parameters import TransformationParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .datum_reader import Record, Records
from .prefetch import Ahead
from .transformer import Transformer

_LMDB = 1  # DataParameter.DB


class Sources:
    """Opens the sources of Data layers: a `Net`'s `open_source`. Use it in a `with` statement, or close it.

    Parameters
    ----------
    folder
        The folder to which the prototxt's paths are relative.
    device
        The device on which batches are made.
    seed
        Of random crops and mirrors; None: a random seed.
    rank, ranks
        The rank of this process, and how many share out the LMDBs of the TRAIN phase, as Caffe's solvers on several
        GPUs do; each draws its own crops.

    Attributes
    ----------
    opened
        The sources opened, in order.
    """

    def __init__(
        self,
        folder: Path = Path(),
        device: torch.device | str = "cpu",
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._folder, self._device, self._seed = folder, torch.device(device), seed
        self._rank, self._ranks = rank, ranks
        self._open = ExitStack()
        self.opened: list[LmdbSource] = []

    def __call__(self, param: LayerParameter) -> "LmdbSource":
        """Open the source of a Data layer, given its LayerParameter."""
        if param.type != "Data":
            raise EmotiwError(f"no LMDB feeds a layer of type {param.type}")
        share = (self._rank, self._ranks) if PHASES[param.phase] == "TRAIN" else (0, 1)
        seed = None if self._seed is None else self._seed + self._rank
        source = LmdbSource(param, self._folder, self._device, seed, *share)
        self._open.callback(source.close)
        self.opened.append(source)
        return source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sources."""
        self._open.close()


@dataclass(frozen=True)
class Place:
    """A position in a source: the number of batches given, and the generator's state after the last one."""

    batches: int
    random: Tensor


class LmdbSource:
    """Batches for one Data layer, from its LMDB; as in Caffe 1.0, `rand_skip` does nothing.

    Reading begins with the first `next`. A source keeps its position as long as it is open.

    Parameters
    ----------
    param
        Of a Data layer, with its phase.
    folder, device, seed, rank, ranks
        As for `Sources`.

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
        If there is no LMDB, or its first image does not fit the layer's transform_param.
    """

    def __init__(
        self,
        param: LayerParameter,
        folder: Path = Path(),
        device: torch.device | str = "cpu",
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        data, transform = param.data_param, param.transform_param
        if data.backend != _LMDB:
            raise EmotiwError(f"its backend is LEVELDB, Caffe's default: only `backend: LMDB` is read ({data.source})")
        if not data.batch_size:
            raise EmotiwError("its data_param has no batch_size")
        transformer = Transformer(transform, PHASES[param.phase], device, seed, folder)
        records = Records(folder / data.source, _colour(transform), rank, ranks)
        first = records.first()
        with _placed(records.path):
            shape = transformer.shape(first.shape)
        self.shapes: list[Shape] = [(data.batch_size, *shape), (data.batch_size,)]
        self.expected: list[Classes] = []
        self._transformer, self._depth = transformer, max(1, data.prefetch)
        self._read = partial(records.batches, data.batch_size, self.expected)
        self._path, self._device = records.path, torch.device(device)
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
    """Yield an LMDB's batches forever, on the device, with the generator's state after each, and a CUDA event.

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
    """Name the LMDB in an error about its images."""
    try:
        yield
    except EmotiwError as error:
        raise EmotiwError(f"{path}: {error}") from None


def _colour(transform: TransformationParameter) -> Colour:
    if transform.force_color and transform.force_gray:
        raise EmotiwError("transform_param has force_color and force_gray: Caffe takes either")
    return Colour.COLOUR if transform.force_color else Colour.GREY if transform.force_gray else Colour.NATIVE
