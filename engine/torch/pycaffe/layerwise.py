"""A net that runs layer by layer, forward and backward, on blobs that keep their place: Caffe's own way.

The engine's other nets compute gradients of a whole pass by autograd. Here each layer's pass is an autograd graph of
its own, so that a pass may begin and end at any layer, and what a user writes to a blob in between is what counts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from emotiw.engine.torch.graph import Graph
from emotiw.engine.torch.layers.data_source import OpenSource
from emotiw.engine.torch.layers.inputs import Data, Input, SourceLayer
from emotiw.engine.torch.layers.layer import Layer, Shape
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError

from .blobs import Blob, ParamBlob
from .insert_splits import with_splits
from .mode import draw_seed
from .need_backward import needs_of

AUTOMATIC = "(automatic)"  # what Caffe calls a loss without a name

Callbacks = list[Callable[[int], None]]


@dataclass(frozen=True)
class _Pass:
    """A layer's last pass: what autograd computes its gradients from."""

    bottoms: list[Tensor]
    tops: list[Tensor]


class Layerwise(Net):
    """A net that runs from any layer to any, on the blobs of Caffe, with the splits that it inserts.

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
    before_forward, after_forward, before_backward, after_backward
        Called with a layer's number.
    """

    def __init__(
        self,
        graph: Graph,
        open_source: OpenSource | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        seed = draw_seed() if seed is None else seed
        super().__init__(with_splits(graph), open_source, seed, device, precision=precision)
        self.tops = [
            [*layer.param.top, *[AUTOMATIC] * (len(layer.loss_weights) - len(layer.param.top))] for layer in self.layers
        ]
        self.store: dict[str, Blob] = {}
        self._fill_store()
        self.learned: list[list[ParamBlob]] = []
        self.learn_with()
        self._needs = needs_of(self.layers, self.tops, graph.force_backward)
        self._passes: dict[int, _Pass] = {}
        self.before_forward: Callbacks = []
        self.after_forward: Callbacks = []
        self.before_backward: Callbacks = []
        self.after_backward: Callbacks = []

    def learn_with(self, *others: "Layerwise") -> None:
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

    def forget(self) -> None:
        """Forget the last passes: weights are others now. A backward pass before the next one computes them anew."""
        self._passes.clear()

    def run_backward(self, first: int, last: int) -> None:
        """Run the layers from `first` down to `last` backward; what they learn has its gradients added up."""
        for number in range(first, last - 1, -1):
            _call(self.before_backward, number)
            if self._needs[number].layer:
                with self.precision.computing():
                    self._backward(number)
            _call(self.after_backward, number)

    def _run(self, first: int, last: int) -> Tensor:
        loss = torch.zeros((), device=self.device)
        for number in range(first, last):
            _call(self.before_forward, number)
            loss += self._forward(number)
            _call(self.after_forward, number)
        return loss

    def _forward(self, number: int) -> Tensor:
        layer, loss = self.layers[number], torch.zeros((), device=self.device)
        if isinstance(layer, Input):
            self.blobs.update((name, self.store[name].data_memory.tensor) for name in self.tops[number])
            return loss
        done = self._pass(number, self._needs[number].layer and torch.is_grad_enabled())
        self._fit(number, [tuple(top.shape) for top in done.tops])
        for name, weight, top in zip(self.tops[number], layer.loss_weights, done.tops, strict=True):
            blob, value = self.store[name], top.detach()
            if layer.param.type == "Split":
                blob.share_data(self.store[layer.param.bottom[0]])
            else:
                blob.data_memory.tensor.copy_(value)
            self.blobs[name], self.shapes[name] = blob.data_memory.tensor, blob.shape
            if weight:
                loss = loss + weight * value.sum()
        if any(top.requires_grad for top in done.tops):
            self._passes[number] = done
        else:
            self._passes.pop(number, None)
        return loss

    def _pass(self, number: int, gradients: bool) -> _Pass:
        """Compute a layer's tops from what is in the blobs."""
        layer, need = self.layers[number], self._needs[number]
        if isinstance(layer, SourceLayer) and not isinstance(layer, Data):
            layer.values = [self.store[name].data_memory.tensor for name in self.tops[number]]
            layer.top_shapes = [tuple(value.shape) for value in layer.values]
        for blob in self.learned[number]:
            _ = blob.data_memory.tensor  # with what the user has written
        bottoms = [
            self._leaf(name, name in layer.param.top, gradients and needed)
            for name, needed in zip(layer.param.bottom, need.bottoms, strict=True)
        ]
        with self._placed(number), torch.set_grad_enabled(gradients):
            return _Pass(bottoms, layer(*bottoms))

    def _leaf(self, name: str, in_place: bool, needed: bool) -> Tensor:
        """Return a bottom: the blob's own memory, which autograd reads again on the way back, as Caffe does."""
        tensor = self.store[name].data_memory.tensor
        return (tensor.clone() if in_place else tensor.data).requires_grad_(needed)

    def _backward(self, number: int) -> None:
        """Write the gradients of a layer's bottoms, and add up those of what it learns, from those of its tops."""
        done = self._last_pass(number)
        given = [
            (top, self.store[name].diff_memory.tensor)
            for name, top in zip(self.tops[number], done.tops, strict=True)
            if top.requires_grad
        ]
        taken = [
            (bottom, self.store[name].diff_memory)
            for name, bottom in zip(self.layers[number].param.bottom, done.bottoms, strict=True)
            if bottom.requires_grad
        ]
        learned = [blob for blob in self.learned[number] if blob.parameter.requires_grad]
        if not given or not (taken or learned):
            return
        tops, diffs = zip(*given, strict=True)
        wanted = [bottom for bottom, _ in taken] + [blob.parameter for blob in learned]
        gradients = torch.autograd.grad(tops, wanted, diffs, retain_graph=True, allow_unused=True)
        for (_, memory), gradient in zip(taken, gradients[: len(taken)], strict=True):
            memory.tensor.zero_() if gradient is None else memory.tensor.copy_(gradient)
        for blob, gradient in zip(learned, gradients[len(taken) :], strict=True):
            if gradient is not None:
                blob.diff_memory.tensor.add_(gradient.view(blob.shape))

    def _last_pass(self, number: int) -> _Pass:
        """Return a layer's last pass, a new one where there was none or where blobs have other shapes now."""
        done, shapes = self._passes.get(number), [self.store[name].shape for name in self.tops[number]]
        fits = done is not None and [tuple(top.shape) for top in done.tops] == shapes
        return done if done is not None and fits else self._pass(number, True)

    def _fill_store(self) -> None:
        """Make the blobs, with the values and loss weights that they begin with."""
        for layer, names in zip(self.layers, self.tops, strict=True):
            for name in names:
                shape = self.shapes.get(name, ())
                self.store.setdefault(name, Blob(torch.zeros(shape, device=self.device)))
            values = layer.values if isinstance(layer, SourceLayer) else []  # a Data layer has none yet
            for name, value in zip(names[: len(values)], values, strict=True):
                self.store[name].data_memory.tensor.copy_(value)
            self._weigh(layer, names)

    def _fit(self, number: int, shapes: list[Shape]) -> None:
        """Give a layer's tops their shapes."""
        for name, shape in zip(self.tops[number], shapes, strict=True):
            if self.store[name].shape != shape:
                self.store[name].reshape(*shape)
                self._weigh(self.layers[number], self.tops[number])

    def _weigh(self, layer: Layer, names: list[str]) -> None:
        """Write losses' weights as their gradients: Layer::SetLossWeights."""
        for name, weight in zip(names, layer.loss_weights, strict=True):
            if weight:
                self.store[name].diff_memory.tensor.fill_(weight)

    @contextmanager
    def _placed(self, number: int) -> Iterator[None]:
        """Name the layer in an error about it."""
        try:
            yield
        except EmotiwError as error:
            raise EmotiwError(f"{self.graph.where[number]}: {error}") from None


def _call(callbacks: Callbacks, number: int) -> None:
    for callback in callbacks:
        callback(number)
