"""Sources of data layers, by type: LMDBs, lists of images, HDF5 files."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch

from emotiw.engine.torch.graph import PHASES
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import Colour
from emotiw.prototxt.formats.layer_parameters import TransformationParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .datum_reader import Records
from .hdf5_source import Hdf5Source
from .image_source import ImageSource
from .read_options import DEFAULTS, ReadOptions
from .transformed_source import TransformedSource
from .transformer import Transformer

_LMDB = 1  # DataParameter.DB


class Sources:
    """Opens the sources of Data layers: a `Net`'s `open_source`. Use it in a `with` statement, or close it.

    Parameters
    ----------
    folder, device, seed, rank, ranks
        As in `ReadOptions`. The processes share the records of the TRAIN phase, as Caffe's solvers on several GPUs do;
        each draws its own crops.

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
        self._options = ReadOptions(folder, device, None if seed is None else seed + rank, rank, ranks)
        self._open = ExitStack()
        self.opened: list[TransformedSource | Hdf5Source] = []

    def __call__(self, param: LayerParameter) -> TransformedSource | Hdf5Source:
        """Open the source of a data layer, given its LayerParameter."""
        if param.type not in _SOURCES:
            raise EmotiwError(f"no LMDB feeds a layer of type {param.type}")
        shared = PHASES[param.phase] == "TRAIN"
        options = self._options if shared else replace(self._options, rank=0, ranks=1)
        source = _SOURCES[param.type](param, options)
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


class LmdbSource(TransformedSource):
    """Batches for one Data layer, from its LMDB; as in Caffe 1.0, `rand_skip` does nothing.

    Parameters
    ----------
    param
        Of a Data layer, with its phase.
    options
        How this process reads it.

    Raises
    ------
    EmotiwError
        If there is no LMDB, or its first image does not fit the layer's transform_param.
    """

    def __init__(self, param: LayerParameter, options: ReadOptions = DEFAULTS) -> None:
        data, transform = param.data_param, param.transform_param
        if data.backend != _LMDB:
            raise EmotiwError(f"its backend is LEVELDB, Caffe's default: only `backend: LMDB` is read ({data.source})")
        if not data.batch_size:
            raise EmotiwError("its data_param has no batch_size")
        transformer = Transformer(transform, PHASES[param.phase], options.device, options.seed, options.folder)
        records = Records(options.folder / data.source, _colour(transform), options.rank, options.ranks)
        super().__init__(records, transformer, data.batch_size, max(1, data.prefetch), options.device)


def _colour(transform: TransformationParameter) -> Colour:
    if transform.force_color and transform.force_gray:
        raise EmotiwError("transform_param has force_color and force_gray: Caffe takes either")
    return Colour.COLOUR if transform.force_color else Colour.GREY if transform.force_gray else Colour.NATIVE


_SOURCES: Mapping[str, type[LmdbSource | ImageSource | Hdf5Source]] = {
    "Data": LmdbSource,
    "ImageData": ImageSource,
    "HDF5Data": Hdf5Source,
}
