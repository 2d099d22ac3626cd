"""A prototxt as a torch module: Caffe's net.cpp, its backward pass by autograd."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Generator, Tensor

from emotiw.errors import EmotiwError
from emotiw.malloc import keep_freed_memory
from emotiw.prototxt.formats.messages import LayerParameter

from .graph import Graph
from .layers import LAYERS
from .layers.data_source import OpenSource
from .layers.inputs import Data, Input, SourceLayer
from .layers.layer import Layer, Shape
from .params import Learnable, Params, laid, shape_count
from .precision import precision_of
from .tuning import UNTUNED, Tuning


class Net(torch.nn.Module):
    """A runnable net: calling it runs its layers and returns the loss; `loss.backward()` computes the gradients.

    Parameters
    ----------
    graph
        Its layers, filtered for one state.
    open_source
        Opens the source of a Data layer, given its LayerParameter; a net without Data layers needs none.
    seed
        Of the fillers; None: a random seed. Dropout draws from torch's global generator.
    device
        The device to compute on.
    precision
        One of `engine.PRECISIONS`. float32 overrides torch's own switches.
    tuning
        Options for speed.

    Attributes
    ----------
    graph
        As given.
    precision
        The `Precision`.
    layers
        Its layers, in order; each has the LayerParameter `param` and the learned `blobs`.
    shapes
        The shape of each blob by its name: at first from the prototxt, then from the last pass.
    blobs
        The blobs by name, after a pass. Layers that compute in place share a name: the last value stays.
    learnable
        Each learned blob once, with its multipliers, in Caffe's order.
    inputs, outputs
        The names of the blobs that a user sets, and of those that no layer takes, sorted as Caffe's are.
    generator
        The random generator of the fillers; DummyData's fillers draw from it at every pass.
    keep_diffs
        Whether later passes keep the gradient of every blob, for `diffs`.
    kept
        The names of the blobs that stay in `blobs` after a pass, besides the outputs; None: all. The others are freed
        after the last layer that takes them.

    Raises
    ------
    EmotiwError
        If a layer cannot be built; the message has the layer and its line in the prototxt.
    """

    kinds: ClassVar[Mapping[str, type[Layer]]] = LAYERS  # the classes of layers by type

    def __init__(
        self,
        graph: Graph,
        open_source: OpenSource | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        precision: str = "float32",
        tuning: Tuning = UNTUNED,
    ) -> None:
        super().__init__()
        self.graph, self.device, self.tuning, self.keep_diffs = graph, torch.device(device), tuning, False
        self.kept: Collection[str] | None = None
        self.precision = precision_of(precision, self.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.blobs: dict[str, Tensor] = {}
        self.shapes: dict[str, Shape] = {}
        self._made: dict[str, Tensor] = {}
        self._labels: dict[str, Data] = {}
        self.layers: list[Layer] = []
        self.generator = Generator()
        self.generator.manual_seed(self.generator.seed() if seed is None else seed)
        params = Params(self.device, tuning.layout, self.generator, always=graph.force_backward)
        for param, where in zip(graph.layers, graph.where, strict=True):
            with placed(where, param.type):
                self._add(param, open_source, params, self.generator)
        self.chain = torch.nn.ModuleList(self.layers)  # registers the parameters with torch
        self.learnable: list[Learnable] = params.learnable
        self.inputs = [top for layer in self._inputs() for top in layer.param.top]
        self.outputs = _outputs(graph)
        self._last_used = _last_used(graph, self.outputs)

    @property
    def params(self) -> dict[str, list[torch.nn.Parameter]]:
        """Return the learned blobs by layer name; layers without any are left out."""
        return {layer.param.name: list(layer.blobs) for layer in self.layers if len(layer.blobs)}

    @property
    def diffs(self) -> dict[str, Tensor]:
        """Return the gradient of each blob that has one, by name; after in-place layers, that of the first value."""
        return {name: made.grad for name, made in self._made.items() if made.grad is not None}

    def forward(self, batch: Mapping[str, Tensor] | None = None) -> Tensor:
        """Run all layers.

        Parameters
        ----------
        batch
            New values of inputs, by name, for this and later passes; their shapes may differ from before.

        Returns
        -------
        Tensor
            The sum of the tops, each times its loss weight: a scalar.
        """
        for name, value in (batch or {}).items():
            self.set_input(name, value)
        return self.run(0, len(self.layers))

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss that `forward` returned to the `grad` of the learned blobs."""
        if loss.requires_grad:  # else it depends on no learned blob
            with self.computing():
                torch.autograd.backward(loss)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Set torch's switches, for forward and backward passes; restore them afterwards."""
        with self.precision.computing(), self.tuning.computing():
            yield

    def forget(self) -> None:
        """Free the blobs of the last pass and all gradients."""
        self.blobs.clear()
        self._made.clear()
        for one in self.learnable:
            one.blob.grad = None

    def run(self, first: int, last: int) -> Tensor:
        """Run the layers from `first` up to but not including `last` on the values in `blobs`; return their loss."""
        with self.computing():
            return self._run(first, last)

    def _run(self, first: int, last: int) -> Tensor:
        loss = torch.zeros((), device=self.device)
        for number in range(first, last):
            layer = self.layers[number]
            with placed(self.graph.where[number]):
                tops = self._tops(layer)
            for weight, top in zip(layer.loss_weights, tops, strict=True):
                if weight:
                    loss = loss + weight * top.float().sum()
            named = layer.param.top  # a loss's top may be unnamed
            for name, top in zip(named, tops[: len(named)], strict=True):
                self._keep(layer, name, top)
            if self.kept is not None:
                for name in self._last_used[number] - set(self.kept):
                    del self.blobs[name]
        return loss

    def set_input(self, name: str, value: Tensor) -> None:
        """Set an input for later passes."""
        for layer in self._inputs():
            if name in layer.param.top:
                layer.values[list(layer.param.top).index(name)] = self._laid(value.to(torch.float32))
                return
        raise EmotiwError(f"net {self.graph.name!r} has no input {name!r}: it has {', '.join(self.inputs) or 'none'}")

    def _inputs(self) -> list[Input]:
        return [layer for layer in self.layers if isinstance(layer, Input)]

    def _tops(self, layer: Layer) -> list[Tensor]:
        tops = self.precision.tops(layer, list(map(self._bottom, layer.param.bottom, layer.propagates)))
        if isinstance(layer, SourceLayer):
            forced = self.graph.force_backward
            return [self._laid(top).requires_grad_(forced and top.is_floating_point()) for top in tops]
        return tops

    def _laid(self, value: Tensor) -> Tensor:
        """Return an external value on our device, in our layout; its own memory if it already is."""
        return laid(value.detach().to(self.device), self.tuning.layout)

    def _bottom(self, name: str, propagates: bool) -> Tensor:
        return self.blobs[name] if propagates else self.blobs[name].detach()

    def _keep(self, layer: Layer, name: str, top: Tensor) -> None:
        """Store a top."""
        self.blobs[name], self.shapes[name] = top, tuple(top.shape)
        if self.keep_diffs and top.requires_grad and name not in layer.param.bottom:
            self._made[name] = top
            top.retain_grad()

    def _add(self, param: LayerParameter, open_source: OpenSource | None, params: Params, generator: Generator) -> None:
        """Build a layer, connect it, fill what it learns, and find its tops' shapes: Net::Init."""
        layer = self._make(param)
        layer.propagates = [self.graph.force_backward or given for given in param.propagate_down] or [True] * len(
            param.bottom
        )
        if isinstance(layer, Data):
            if open_source is None:
                raise EmotiwError("it has no source of data: this net was opened without one")
            layer.feed(open_source(param))
            self._labels.update(dict.fromkeys(param.top[1:2], layer))
        if isinstance(layer, SourceLayer):
            for shape in layer.top_shapes:
                shape_count(shape)
            layer.begin(generator)
            layer.values = [self._laid(value) for value in layer.values]
            tops = layer.top_shapes
        else:
            bottoms = [self.shapes[name] for name in param.bottom]
            params.add(layer, bottoms)
            tops = layer.infer(bottoms)
            if len(tops) != len(layer.loss_weights):
                raise EmotiwError(f"it makes {len(tops)} tops, not {len(layer.loss_weights)}")
            self._expect(layer, bottoms)
        self.shapes.update(zip(param.top, tops[: len(param.top)], strict=True))
        self.layers.append(layer)

    def _make(self, param: LayerParameter) -> Layer:
        """Build a layer, without what it learns."""
        if param.type not in self.kinds:
            where = "; layers written in Python run in pycaffe's nets and solvers" if param.type == "Python" else ""
            raise EmotiwError(f"this engine has no such layer: it has {', '.join(sorted(self.kinds))}{where}")
        self._check_names(param)
        return self.tuning.layers.get(param.type, self.kinds[param.type])(param)

    def _expect(self, layer: Layer, bottoms: list[Shape]) -> None:
        """Tell a layer's data source which labels it accepts: on a GPU the layer itself would notice too late."""
        param = layer.param
        if param.type == "Split" and param.bottom[0] in self._labels:
            self._labels.update(dict.fromkeys(param.top, self._labels[param.bottom[0]]))
        classes = layer.classes(bottoms)
        if classes and param.bottom[1] in self._labels:
            self._labels[param.bottom[1]].expect(classes)

    def _check_names(self, param: LayerParameter) -> None:
        """Refuse bottoms that no layer makes, tops made already, and a number of either that the type does not take."""
        self.kinds[param.type].check_counts(param)
        for name in param.bottom:
            if name not in self.shapes:
                raise EmotiwError(f"its bottom {name!r} is the top of no layer before it")
        for k, name in enumerate(param.top):
            in_place = k < len(param.bottom) and param.bottom[k] == name
            if (name in self.shapes and not in_place) or name in param.top[:k]:
                raise EmotiwError(f"its top {name!r} is made already")


@contextmanager
def placed(where: str, kind: str = "") -> Iterator[None]:
    """Turn any error of a layer into an EmotiwError with its location.

    Parameters
    ----------
    where
        The layer's location.
    kind
        Its type; other errors of a Python layer stay as they are: they are those of its user's code.
    """
    try:
        yield
    except EmotiwError as error:
        raise EmotiwError(f"{where}: {error}") from None
    except torch.OutOfMemoryError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:  # torch's or Python's message
        if kind == "Python":
            raise
        raise EmotiwError(f"{where}: {str(error).partition(chr(10))[0]}") from error


def _outputs(graph: Graph) -> list[str]:
    """Return the blobs that no layer takes, sorted as Caffe's std::set is."""
    unused: set[str] = set()
    for param in graph.layers:
        unused = (unused - set(param.bottom)) | set(param.top)
    return sorted(unused)


def _last_used(graph: Graph, outputs: Collection[str]) -> list[set[str]]:
    """Return for each layer the blobs that no later layer takes or makes, besides the outputs."""
    later = set(outputs)
    found: list[set[str]] = []
    for param in reversed(graph.layers):
        found.append(set(param.bottom) - later)
        later |= {*param.bottom, *param.top}
    return found[::-1]
