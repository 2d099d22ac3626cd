"""A net that runs layer by layer, forward and backward, on persistent blobs, as Caffe does.

The engine's other nets compute the gradients of a whole pass by autograd. Here each layer's pass has its own autograd
graph, so that a pass may begin and end at any layer, and uses what a user writes to blobs in between.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from emotiw.engine.torch.graph import Graph
from emotiw.engine.torch.layers import LAYERS
from emotiw.engine.torch.layers.data_source import OpenSource
from emotiw.engine.torch.layers.inputs import Data, Input, SourceLayer
from emotiw.engine.torch.layers.layer import Layer, Shape
from emotiw.engine.torch.net import Net, placed
from emotiw.engine.torch.tuning import UNTUNED, Tuning
from emotiw.engine.torch.weights import share_weights
from emotiw.prototxt.formats.messages import LayerParameter

from .blobs import Blob, Memories, ParamMemories
from .insert_splits import with_splits
from .mode import draw_seed
from .need_backward import needs_of
from .python_layer import PythonLayer

AUTOMATIC = "(automatic)"  # Caffe's name for an unnamed loss

Callbacks = list[Callable[[int], None]]


@dataclass(frozen=True)
class _Pass:
    """A layer's last pass, from which autograd computes its gradients."""

    bottoms: list[Tensor]
    tops: list[Tensor]


class Layerwise(Net):
    """A net that runs from any layer to any other, on Caffe's blobs, with the Split layers that Caffe inserts.

    Parameters
    ----------
    graph, open_source, seed, device, precision, tuning
        As for `Net`.

    Attributes
    ----------
    store
        The blobs by name, in the order in which layers make them.
    learned
        The learned blobs of each layer.
    tops
        The names of each layer's tops.
    before_forward, after_forward, before_backward, after_backward
        Called with a layer's number.
    """

    kinds = {**LAYERS, "Python": PythonLayer}  # noqa: RUF012

    def __init__(
        self,
        graph: Graph,
        open_source: OpenSource | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        precision: str = "float32",
        tuning: Tuning = UNTUNED,
    ) -> None:
        seed = draw_seed() if seed is None else seed
        self.store: dict[str, Blob] = {}
        super().__init__(with_splits(graph), open_source, seed, device, precision, tuning)
        self.tops = [
            [*layer.param.top, *[AUTOMATIC] * (len(layer.loss_weights) - len(layer.param.top))] for layer in self.layers
        ]
        self._fill_store()
        self.learned = self._learned()
        self._adopt()
        self._needs = needs_of(self.layers, self.tops, graph.force_backward)
        self._passes: dict[int, _Pass] = {}
        self.before_forward: Callbacks = []
        self.after_forward: Callbacks = []
        self.before_backward: Callbacks = []
        self.after_backward: Callbacks = []

    def share_with(self, source: "Layerwise") -> None:
        """Share the weights, but not their gradients, of another net's layers of the same names."""
        self.settle()
        share_weights(self, source)
        theirs = {layer.param.name: blobs for layer, blobs in zip(source.layers, source.learned, strict=True)}
        for layer, blobs in zip(self.layers, self.learned, strict=True):
            if layer.param.name in theirs:
                for blob, other in zip(blobs, theirs[layer.param.name], strict=True):
                    blob.memories.data = other.memories.data
        self.forget()

    def settle(self) -> None:
        """Upload the user's changes of weights and their gradients to the device."""
        for blobs in self.learned:
            for blob in blobs:
                _ = blob.tensor, blob.gradient

    def reshape(self) -> None:
        """Update the shape of every blob from those of the inputs."""
        for number, layer in enumerate(self.layers):
            if not isinstance(layer, SourceLayer):
                with self._placed(number):
                    shapes = layer.infer([self.store[name].shape for name in layer.param.bottom])
                self._fit(number, shapes)

    def forget(self) -> None:
        """Drop the last passes: weights have changed. A backward pass without a new forward pass recomputes them."""
        self._passes.clear()

    def run_backward(self, first: int, last: int) -> None:
        """Run the layers from `first` down to `last` backward; add up the gradients of their learned blobs."""
        for number in range(first, last - 1, -1):
            _call(self.before_backward, number)
            if self._needs[number].layer:
                with self.computing():
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
            self.blobs.update((name, self.store[name].tensor) for name in self.tops[number])
            return loss
        done = self._pass(number, self._needs[number].layer and torch.is_grad_enabled())
        self._fit(number, [tuple(top.shape) for top in done.tops])
        for name, weight, top in zip(self.tops[number], layer.loss_weights, done.tops, strict=True):
            blob, value = self.store[name], top.detach()
            if layer.param.type == "Split":
                blob.share_data(self.store[layer.param.bottom[0]])
            elif not isinstance(layer, PythonLayer):  # which has written to its tops itself
                blob.tensor.copy_(value)
            self.blobs[name], self.shapes[name] = blob.tensor, blob.shape
            if weight:
                loss = loss + weight * value.sum()
        if any(top.requires_grad for top in done.tops):
            self._passes[number] = done
        else:
            self._passes.pop(number, None)
        return loss

    def _pass(self, number: int, gradients: bool) -> _Pass:
        """Compute a layer's tops from the values in the blobs."""
        layer, need = self.layers[number], self._needs[number]
        if isinstance(layer, SourceLayer) and not isinstance(layer, Data):
            layer.values = [self.store[name].tensor for name in self.tops[number]]
            layer.top_shapes = [tuple(value.shape) for value in layer.values]
        for blob in self.learned[number]:
            _ = blob.tensor  # uploads the user's changes
        bottoms = [
            self._leaf(name, name in layer.param.top, gradients and needed)
            for name, needed in zip(layer.param.bottom, need.bottoms, strict=True)
        ]
        with self._placed(number), torch.set_grad_enabled(gradients):
            return _Pass(bottoms, layer(*bottoms))

    def _leaf(self, name: str, in_place: bool, needed: bool) -> Tensor:
        """Return a bottom in the blob's own memory, which the backward pass reads again, as in Caffe."""
        tensor = self.store[name].tensor
        return (tensor.clone() if in_place else tensor.data).requires_grad_(needed)

    def _backward(self, number: int) -> None:
        """Write the gradients of a layer's bottoms, and add to those of its learned blobs, from those of its tops."""
        layer = self.layers[number]
        if isinstance(layer, PythonLayer):
            layer.backward(self._needs[number].bottoms)
            return
        done = self._last_pass(number)
        given = [
            (top, self.store[name].gradient)
            for name, top in zip(self.tops[number], done.tops, strict=True)
            if top.requires_grad
        ]
        taken = [
            (bottom, self.store[name].gradient)
            for name, bottom in zip(layer.param.bottom, done.bottoms, strict=True)
            if bottom.requires_grad
        ]
        pairs = zip(layer.blobs, self.learned[number], strict=True)
        learned = [(parameter, blob) for parameter, blob in pairs if parameter.requires_grad]
        if not given or not (taken or learned):
            return
        tops, diffs = zip(*given, strict=True)
        wanted = [each for each, _ in [*taken, *learned]]
        gradients = torch.autograd.grad(tops, wanted, diffs, retain_graph=True, allow_unused=True)
        for (_, own), gradient in zip(taken, gradients[: len(taken)], strict=True):
            own.zero_() if gradient is None else own.copy_(gradient)
        for (_, blob), gradient in zip(learned, gradients[len(taken) :], strict=True):
            if gradient is not None:
                blob.gradient.add_(gradient.view(blob.shape))

    def _last_pass(self, number: int) -> _Pass:
        """Return a layer's last pass, or a new one if there is none or if blobs have changed shape."""
        done, shapes = self._passes.get(number), [self.store[name].shape for name in self.tops[number]]
        fits = done is not None and [tuple(top.shape) for top in done.tops] == shapes
        return done if done is not None and fits else self._pass(number, True)

    def _fill_store(self) -> None:
        """Make the blobs, with their initial values and loss weights."""
        for layer, names in zip(self.layers, self.tops, strict=True):
            for name in names:
                self._blob(name)
            values = layer.values if isinstance(layer, SourceLayer) else []  # a Data layer has none yet
            for name, value in zip(names[: len(values)], values, strict=True):
                self.store[name].tensor.copy_(value)
            self._weigh(layer, names)

    def _blob(self, name: str) -> Blob:
        """Return a blob, which is made at first use, of the shape that is known then."""
        if name not in self.store:
            self.store[name] = Blob.of(torch.zeros(self.shapes.get(name, ()), device=self.device))
        return self.store[name]

    def _learned(self) -> list[list[Blob]]:
        """Return the learned blobs of each layer; blobs of one parameter share its memory."""
        memories: dict[int, Memories] = {}
        made: dict[tuple[int, Shape], Blob] = {}
        for layer in self.layers:
            for parameter, shape in zip(layer.blobs, layer.shapes, strict=True):
                memory = memories.setdefault(id(parameter), ParamMemories(parameter))
                made.setdefault((id(parameter), shape), Blob(memory, shape))
        return [
            [made[id(parameter), shape] for parameter, shape in zip(layer.blobs, layer.shapes, strict=True)]
            for layer in self.layers
        ]

    def _make(self, param: LayerParameter) -> Layer:
        layer = super()._make(param)
        if isinstance(layer, PythonLayer):
            layer.connect(*([self._blob(name) for name in names] for names in (param.bottom, param.top)))
        return layer

    def _adopt(self) -> None:
        """Have Python layers use the net's learned blobs."""
        owned = {id(one.blob) for one in self.learnable}
        for layer, blobs in zip(self.layers, self.learned, strict=True):
            if isinstance(layer, PythonLayer):
                first = [id(parameter) in owned for parameter in layer.blobs]
                layer.adopt(blobs, first)
            owned -= set(map(id, layer.blobs))

    def _fit(self, number: int, shapes: list[Shape]) -> None:
        """Set the shapes of a layer's tops."""
        for name, shape in zip(self.tops[number], shapes, strict=True):
            if self.store[name].shape != shape:
                self.store[name].reshape(*shape)
                self._weigh(self.layers[number], self.tops[number])

    def _weigh(self, layer: Layer, names: list[str]) -> None:
        """Write loss weights as the gradients of the losses: Layer::SetLossWeights."""
        for name, weight in zip(names, layer.loss_weights, strict=True):
            if weight:
                self.store[name].gradient.fill_(weight)

    def _placed(self, number: int) -> AbstractContextManager[None]:
        """Return a context that adds the layer's location to errors."""
        return placed(self.graph.where[number], self.layers[number].param.type)


def _call(callbacks: Callbacks, number: int) -> None:
    for callback in callbacks:
        callback(number)
