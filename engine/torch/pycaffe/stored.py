"""A net whose blobs keep their place between passes, under Caffe's own names."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from emotiw.engine.torch.graph import Graph
from emotiw.engine.torch.layers.data_source import OpenSource
from emotiw.engine.torch.layers.inputs import SourceLayer
from emotiw.engine.torch.layers.layer import Layer, Shape
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError

from .blobs import Blob, ParamBlob
from .splits import with_splits

AUTOMATIC = "(automatic)"  # what Caffe calls a loss without a name


class StoredNet(Net):
    """A net whose blobs are those of Caffe, with the splits that it inserts.

    Parameters
    ----------
    graph, open_source, seed, device, precision
        As for `Net`.

    Attributes
    ----------
    store
        Each blob by its name, in the order in which layers make them.
    learned
        Of each layer, what it learns.
    tops
        Of each layer, its tops' names.
    """

    def __init__(
        self,
        graph: Graph,
        open_source: OpenSource | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        super().__init__(with_splits(graph), open_source, seed, device, precision=precision)
        self.tops = [
            [*layer.param.top, *[AUTOMATIC] * (len(layer.loss_weights) - len(layer.param.top))] for layer in self.layers
        ]
        self.store: dict[str, Blob] = {}
        for layer, names in zip(self.layers, self.tops, strict=True):
            for name in names:
                shape = self.shapes.get(name, ())
                self.store.setdefault(name, Blob(torch.zeros(shape, device=self.device)))
            for name, value in zip(names, layer.values if isinstance(layer, SourceLayer) else [], strict=False):
                self.store[name].data_memory.tensor.copy_(value)
            self._weigh(layer, names)
        self.learned: list[list[ParamBlob]] = []
        self.learn_with()

    def learn_with(self, *others: "StoredNet") -> None:
        """Show what the layers learn, by the same blobs as other nets do where they share it."""
        known = {(id(blob.parameter), blob.shape): blob for net in others for blobs in net.learned for blob in blobs}
        self.learned = [
            [
                known.setdefault((id(parameter), shape), ParamBlob(parameter, shape))
                for parameter, shape in zip(layer.blobs, layer.shapes, strict=True)
            ]
            for layer in self.layers
        ]

    def settle(self) -> None:
        """Bring what the user has written to weights and their gradients to the device."""
        for blobs in self.learned:
            for blob in blobs:
                _ = blob.data_memory.tensor, blob.diff_memory.tensor

    def reshape(self) -> None:
        """Give every blob the shape that follows from those of the inputs."""
        for number, layer in enumerate(self.layers):
            if not isinstance(layer, SourceLayer):
                with self._placed(number):
                    shapes = layer.infer([self.store[name].shape for name in layer.param.bottom])
                self._fit(number, shapes)

    def _fit(self, number: int, shapes: list[Shape]) -> None:
        """Give a layer's tops their shapes."""
        for name, shape in zip(self.tops[number], shapes, strict=False):
            if self.store[name].shape != shape:
                self.store[name].reshape(*shape)
                self._weigh(self.layers[number], self.tops[number])

    def _weigh(self, layer: Layer, names: list[str]) -> None:
        """Write losses' weights as their gradients: Layer::SetLossWeights."""
        for name, weight in zip(names, layer.loss_weights, strict=False):
            if weight:
                self.store[name].diff_memory.tensor.fill_(weight)

    @contextmanager
    def _placed(self, number: int) -> Iterator[None]:
        """Name the layer in an error about it."""
        try:
            yield
        except EmotiwError as error:
            raise EmotiwError(f"{self.graph.where[number]}: {error}") from None
