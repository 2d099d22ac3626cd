"""Sources of HDF5Data layers: Caffe's hdf5_data_layer.cpp."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import h5py
import torch
from torch import Generator, Tensor

from emotiw.engine.torch.layers.data_source import Shape
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter

from .file_list import order, read_list
from .read_options import DEFAULTS, ReadOptions
from .transformed_source import Place


class Hdf5Source:
    """Batches of rows of the datasets that a layer's tops name, one file after the other; one file is in memory.

    With `shuffle` each round has another order of the files, and of the rows in each.

    Parameters
    ----------
    param
        Of an HDF5Data layer, with its phase. The source is a list of paths of HDF5 files.
    options
        How this process reads it.

    Attributes
    ----------
    shapes
        The shapes of a batch.
    place
        Its current position.

    Raises
    ------
    EmotiwError
        If a file cannot be read, has another number of rows in each dataset, or rows of another shape than the first.
    """

    def __init__(self, param: LayerParameter, options: ReadOptions = DEFAULTS) -> None:
        data = param.hdf5_data_param
        if param.HasField("transform_param"):
            raise EmotiwError("an HDF5Data has no transform_param: transform what is in its files")
        if not data.batch_size:
            raise EmotiwError("its hdf5_data_param has no batch_size")
        self._names, self._shuffled = list(param.top), data.shuffle
        self._files = [options.folder / name for name in read_list(options.folder / data.source).split()]
        self._options = options
        rows, shapes = zip(*map(self._measured, self._files), strict=True)
        for file, found in zip(self._files, shapes, strict=True):
            if found != shapes[0]:
                raise EmotiwError(f"{file} has rows of {found}, {self._files[0]} of {shapes[0]}")
        self._rows_of_a_round = sum(rows)
        self._batch = data.batch_size
        self.shapes: list[Shape] = [(data.batch_size, *shape) for shape in shapes[0]]
        self._generator = Generator()
        self._generator.manual_seed(self._generator.seed() if options.seed is None else options.seed)
        self.begin_at(Place(0, self._generator.get_state()))

    def begin_at(self, place: Place) -> None:
        """Continue after `place`."""
        self.place = place
        self._generator.set_state(place.random)
        first = self._options.rank + place.batches * self._batch * self._options.ranks
        rounds, first = divmod(first, self._rows_of_a_round)
        self._rows = islice(self._all_rows(rounds), first, None, self._options.ranks)

    def next(self) -> list[Tensor]:
        """Return the next batch."""
        rows = list(islice(self._rows, self._batch))
        self.place = Place(self.place.batches + 1, self.place.random)
        return [torch.stack(each).to(self._options.device) for each in zip(*rows, strict=True)]

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _all_rows(self, skipped: int) -> Iterator[list[Tensor]]:
        """Yield the rows of all ranks, after the skipped rounds."""
        own = Generator().manual_seed((self._generator.initial_seed() - self._options.rank) % 2**63)
        generator, count, kept = own if self._shuffled else None, len(self._files), -1
        datasets: list[Tensor] = []
        for turn, number in enumerate(order(count, generator, skipped * count), skipped * count):
            if number != kept:
                with _opened(self._files[number], self._names) as found:
                    datasets, kept = [torch.from_numpy(each[()].astype("float32")) for each in found], number
            rows = len(datasets[0])
            for row in islice(order(rows, generator, turn * rows), rows):
                yield [dataset[row] for dataset in datasets]

    def _measured(self, file: Path) -> tuple[int, list[Shape]]:
        """Return the number of a file's rows, and their shapes."""
        with _opened(file, self._names) as found:
            return len(found[0]), [dataset.shape[1:] for dataset in found]


@contextmanager
def _opened(path: Path, names: Sequence[str]) -> Iterator[list[h5py.Dataset]]:
    """Open an HDF5 file, and yield its datasets of these names: numbers, with as many rows in each."""
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            found = [file.get(name) for name in names]
            for name, dataset in zip(names, found, strict=True):
                if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu" or not dataset.size:
                    raise EmotiwError(f"{path} has no dataset {name!r} of numbers")
            if len({dataset.shape[:1] for dataset in found}) > 1 or not found[0].ndim:
                rows = ", ".join(f"{name} {dataset.shape}" for name, dataset in zip(names, found, strict=True))
                raise EmotiwError(f"{path} has datasets of different numbers of rows: {rows}")
            yield found
    except OSError as error:
        raise EmotiwError(f"{path} is no HDF5 file that can be read: {error}") from None
