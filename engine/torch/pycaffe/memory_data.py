"""Sources of data layers: LMDBs, and the user's arrays for MemoryData."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.layers.data_source import Source
from emotiw.engine.torch.layers.inputs import Data
from emotiw.engine.torch.layers.layer import Layer, Shape
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter

from .blobs import Array


class MemorySource:
    """Batches of arrays, cyclically: Caffe's memory_data_layer.cpp.

    Parameters
    ----------
    param
        Its memory_data_param gives the shape of batches.
    """

    def __init__(self, param: LayerParameter) -> None:
        p = param.memory_data_param
        sides = (p.batch_size, p.channels, p.height, p.width)
        if min(sides) < 1:
            raise EmotiwError("memory_data_param names batch_size, channels, height and width, each at least 1")
        self.shapes: list[Shape] = [sides, (p.batch_size,)]
        self._arrays: tuple[Tensor, Tensor] | None = None
        self._at = 0

    def set(self, data: Array, labels: Array) -> None:
        """Start at the first batch of these arrays; they are not copied if they are float32 and contiguous.

        Raises
        ------
        EmotiwError
            If they are not a whole number of batches.
        """
        batch, *image = self.shapes[0]
        count = len(data)
        if data.shape[1:] != tuple(image) or not count or count % batch:
            raise EmotiwError(f"data is N x {' x '.join(map(str, image))}, N a multiple of {batch}, not {data.shape}")
        if labels.shape not in ((count,), (count, 1, 1, 1)):
            raise EmotiwError(f"labels are ({count},), or ({count}, 1, 1, 1), not {labels.shape}")
        images, numbers = (torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in (data, labels))
        self._arrays, self._at = (images, numbers.reshape(-1)), 0

    def next(self) -> list[Tensor]:
        """Return the next batch."""
        if self._arrays is None:
            raise EmotiwError("no arrays were given: call set_input_arrays first")
        batch, count = self.shapes[0][0], len(self._arrays[1])
        first, self._at = self._at, (self._at + batch) % count
        images, labels = (array[first : first + batch] for array in self._arrays)
        return [images, labels.reshape(-1, 1, 1, 1)]  # the shape in Caffe's Forward, unlike in its set-up


class Feeds:
    """Opens the sources of a net's data layers: a `Net`'s `open_source`.

    Parameters
    ----------
    device, seed
        As for `Sources`.
    """

    def __init__(self, device: torch.device, seed: int | None) -> None:
        self._sources = Sources(Path(), device, seed)

    def __call__(self, param: LayerParameter) -> Source:
        """Open the source of a Data or MemoryData layer, given its LayerParameter."""
        return MemorySource(param) if param.type == "MemoryData" else self._sources(param)

    @staticmethod
    def set_input_arrays(layer: Layer, data: Array, labels: Array) -> None:
        """Set the arrays of a MemoryData layer."""
        if not (isinstance(layer, Data) and isinstance(layer.source, MemorySource)):
            raise EmotiwError(f"set_input_arrays needs a MemoryData layer first, not layer {layer.param.name!r}")
        layer.source.set(data, labels)
