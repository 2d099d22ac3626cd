"""`caffe.Net`: pycaffe's names for a net, its blobs, and its passes forward and backward."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

import numpy as np

from emotiw.engine.torch.graph import PHASES, State, read_graph
from emotiw.engine.torch.hdf5 import copy_from_hdf5, write_hdf5
from emotiw.engine.torch.weights import copy_from, write_weights
from emotiw.errors import EmotiwError

from .blobs import Array, Blob
from .layerwise import Layerwise
from .memory_data import Feeds
from .mode import device, draw_seed
from .python_layer import Layer, PythonLayer

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class LayerView:
    """A layer: its type and its learned blobs."""

    type: str
    blobs: Sequence[Blob]


@dataclass(frozen=True)
class _Given:
    """The arguments of `Net`."""

    network_file: str
    phase: int
    level: int = 0
    stages: Iterable[str] | None = None
    weights: str | None = None


def _given(args: tuple[Any, ...], named: dict[str, Any]) -> _Given:
    """Return the arguments, by place in either order or by name.

    Raises
    ------
    TypeError
        If they are not those of `Net`, as in pycaffe.
    """
    old = len(args) > 1 and isinstance(args[1], str)
    order = ("network_file", "weights", "phase") if old else tuple(each.name for each in fields(_Given))
    if len(args) > len(order):
        raise TypeError(f"Net takes {', '.join(order[1:])} after the prototxt, not {len(args) - 1} arguments")
    values = dict(zip(order[: len(args)], args, strict=True))
    if wrong := [name for name in named if name in values or name not in order]:
        raise TypeError(f"Net takes {', '.join(order)}, each once: not {', '.join(wrong)}")
    values |= named
    if not isinstance(values.get("network_file"), str | Path):
        raise TypeError("Net takes a prototxt file first")
    if values.get("phase") not in range(len(PHASES)):
        raise TypeError(
            f"{values['network_file']}: Net takes a phase after the prototxt, caffe.TRAIN or caffe.TEST, "
            f"not {values.get('phase', 'none')}"
        )
    return _Given(**values)


class Net:
    """A net, as pycaffe shows it.

    `Net(network_file, phase, level=0, stages=None, weights=None)`, or in the old order
    `Net(network_file, weights, phase)`.

    Parameters
    ----------
    network_file
        A prototxt; paths in it are relative to the current folder.
    phase
        TRAIN or TEST.
    level, stages
        The other parts of its state.
    weights
        A caffemodel.

    Attributes
    ----------
    layers
        In order, with the Split layers that Caffe inserts.
    layer_dict, params
        By layer name; `params` has only layers with learned blobs.
    blobs, blob_loss_weights
        By blob name.
    top_names, bottom_names
        By layer name.
    inputs, outputs
        The names of the blobs that a user sets, and of those that no layer takes.

    Raises
    ------
    EmotiwError
        If Caffe would abort the process, as for a missing file or an unknown layer.
    """

    def __init__(self, *args: Any, **named: Any) -> None:  # two orders, as in pycaffe
        given = _given(args, named)
        state = State(PHASES[given.phase], given.level, frozenset(given.stages or ()))
        feeds = Feeds(device(), draw_seed())
        self._adopt(Layerwise(read_graph(Path(given.network_file), state), feeds, device=device()), feeds)
        if given.weights:
            self.copy_from(given.weights)

    @classmethod
    def of(cls, net: Layerwise, feeds: Feeds) -> Self:
        """Return a view of a net that is already open, a solver's."""
        made = cls.__new__(cls)
        made._adopt(net, feeds)
        return made

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Array,
    ) -> dict[str, Array]:
        """Run the layers from `start` to `end`, both by name and both included.

        Parameters
        ----------
        blobs
            Blobs to return in addition to the outputs, or to the tops of `end`.
        start, end
            None: the first, the last.
        **inputs
            All inputs, or none: then the current values of the blobs are used.

        Returns
        -------
        dict
            The blobs' own arrays, by name: the next pass overwrites them.
        """
        first = 0 if start is None else self._number(start)
        last = len(self.layers) - 1 if end is None else self._number(end)
        self._set(inputs, self.inputs, "data")
        self._forward(first, last)
        made = self.outputs if end is None else self.top_names[end]
        return {name: self.blobs[name].data for name in [*made, *(blobs or [])]}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **outputs: Array,
    ) -> dict[str, Array]:
        """Run the layers from `start` down to `end` backward, both by name and both included.

        Parameters
        ----------
        diffs
            Blobs whose gradients to return in addition to the inputs', or to the bottoms' of `end`.
        start, end
            None: the last, the first.
        **outputs
            The gradients of all outputs, or none: then the current gradients of the blobs are used, initially the loss
            weights.

        Returns
        -------
        dict
            The gradients' own arrays, by blob name: the next pass overwrites them.
        """
        first = len(self.layers) - 1 if start is None else self._number(start)
        last = 0 if end is None else self._number(end)
        self._set(outputs, self.outputs, "diff")
        self._backward(first, last)
        made = self.inputs if end is None else self.bottom_names[end]
        return {name: self.blobs[name].diff for name in [*made, *(diffs or [])]}

    def reshape(self) -> None:
        """Update the shape of every blob from those of the inputs."""
        self._net.reshape()

    def clear_param_diffs(self) -> None:
        """Set the gradients of all learned blobs to 0, in place."""
        for blobs in self.params.values():
            for blob in blobs:
                blob.gradient.zero_()

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Array) -> dict[str, Array]:
        """Run forward batch by batch, padding the last batch with zeros.

        Parameters
        ----------
        blobs
            Blobs to return in addition to the outputs.
        **inputs : (N, ...) each
            All inputs.

        Returns
        -------
        dict
            (N, ...) for each blob.
        """
        made = [_copies(self.forward(blobs, None, None, **batch)) for batch in self._batch(inputs)]
        return _joined(made, len(next(iter(inputs.values()))))

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **given: Array
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run forward and backward batch by batch.

        Parameters
        ----------
        blobs, diffs
            Blobs to return in addition to the outputs, and gradients in addition to the inputs'.
        **given : (N, ...) each
            All inputs, the gradients of all outputs, or both; what is not given keeps its current values.

        Returns
        -------
        tuple
            (N, ...) for each blob, and for each gradient.
        """
        forward, backward = (
            self._batch({name: given[name] for name in names if name in given}) for names in (self.inputs, self.outputs)
        )
        made, returned = [], []
        nothing: dict[str, Array] = {}
        for batch, gradients in zip_longest(forward, backward, fillvalue=nothing):
            made.append(_copies(self.forward(blobs, None, None, **batch)))
            returned.append(_copies(self.backward(diffs, None, None, **gradients)))
        count = len(next(iter(given.values())))
        return _joined(made, count), _joined(returned, count)

    def copy_from(self, path: str) -> None:
        """Copy the weights of a caffemodel, or of an HDF5 file if its name ends in .h5, by layer name."""
        if path.endswith(".h5"):  # Caffe's own criterion
            self.load_hdf5(path)
            return
        self._net.settle()
        copy_from(self._net, Path(path))
        self._net.forget()

    def share_with(self, other: "Net") -> None:
        """Share the weights, but not their gradients, of another net's layers of the same names."""
        self._net.share_with(other._net)

    def save(self, path: str) -> None:
        """Write a caffemodel."""
        self._net.settle()
        write_weights(Path(path), self._net)

    def save_hdf5(self, path: str) -> None:
        """Write the weights as HDF5."""
        self._net.settle()
        write_hdf5(Path(path), self._net)

    def load_hdf5(self, path: str) -> None:
        """Copy the weights of an HDF5 file, by layer name."""
        self._net.settle()
        copy_from_hdf5(self._net, Path(path))
        self._net.forget()

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return self._ids(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._ids(self.outputs)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._ids(self.bottom_names[self._layer_names[layer]])

    def _top_ids(self, layer: int) -> list[int]:
        return self._ids(self.top_names[self._layer_names[layer]])

    def _ids(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of blobs."""
        numbers = {name: number for number, name in enumerate(self.blobs)}
        return [numbers[name] for name in names]

    def _set_input_arrays(self, data: Array, labels: Array) -> None:
        self.set_input_arrays(data, labels)

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Have the net's first layer, a MemoryData, read these arrays cyclically.

        Parameters
        ----------
        data : (N, C, H, W) float32
            N is a multiple of the layer's batch_size.
        labels : (N,), or (N, 1, 1, 1), float32
        """
        self._feeds.set_input_arrays(self._net.layers[0], data, labels)

    def before_forward(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with a layer's number before the layer runs."""
        self._net.before_forward.append(callback)

    def after_forward(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with a layer's number after the layer ran."""
        self._net.after_forward.append(callback)

    def before_backward(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with a layer's number before the layer runs backward."""
        self._net.before_backward.append(callback)

    def after_backward(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with a layer's number after the layer ran backward."""
        self._net.after_backward.append(callback)

    def _adopt(self, net: Layerwise, feeds: Feeds) -> None:
        self._net, self._feeds = net, feeds
        self._show()

    def _show(self) -> None:
        """Set the public attributes."""
        net = self._net
        self._layer_names = [layer.param.name for layer in net.layers]
        self.layers: list[LayerView | Layer] = [
            layer.called if isinstance(layer, PythonLayer) else LayerView(layer.param.type, blobs)
            for layer, blobs in zip(net.layers, net.learned, strict=True)
        ]
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((name, layer.blobs) for name, layer in self.layer_dict.items() if layer.blobs)
        self.blobs: OrderedDict[str, Blob] = OrderedDict(net.store)
        weights = {
            name: weight
            for layer, names in zip(net.layers, net.tops, strict=True)
            for name, weight in zip(names, layer.loss_weights, strict=True)
        }
        self.blob_loss_weights = OrderedDict((name, weights[name]) for name in self.blobs)
        self.top_names = OrderedDict(zip(self._layer_names, net.tops, strict=True))
        self.bottom_names = OrderedDict(
            (name, list(layer.param.bottom)) for name, layer in zip(self._layer_names, net.layers, strict=True)
        )
        self.inputs, self.outputs = list(net.inputs), list(net.outputs)

    def _forward(self, first: int, last: int) -> float:
        """Run layers by number; return their loss."""
        return float(self._net.run(first, last + 1))

    def _backward(self, first: int, last: int) -> None:
        self._net.run_backward(first, last)

    def _number(self, layer: str) -> int:
        if layer not in self.layer_dict:
            raise EmotiwError(f"no layer {layer!r} in this net: it has {', '.join(self._layer_names)}")
        return self._layer_names.index(layer)

    def _set(self, given: dict[str, Array], names: Sequence[str], what: str) -> None:
        """Write arrays to all of the named blobs, or to none."""
        if given and set(given) != set(names):
            raise EmotiwError(f"a pass takes all of {', '.join(names) or 'nothing'}, or none, not {', '.join(given)}")
        for name, array in given.items():
            own = getattr(self.blobs[name], what)
            if array.shape[:1] != own.shape[:1]:
                raise EmotiwError(f"{name!r} is a batch of {own.shape[0] if own.ndim else 1}, not {array.shape}")
            own[...] = array

    def _batch(self, arrays: Arrays) -> Iterator[dict[str, Array]]:
        """Yield the arrays in batches of the net's size."""
        size = next(iter(self.blobs.values())).shape[0]
        count = len(next(iter(arrays.values()))) if arrays else 0
        for first in range(0, count, size):
            batch = {name: np.asarray(array[first : first + size]) for name, array in arrays.items()}
            missing = size - min(size, count - first)
            yield {
                name: np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array
                for name, array in batch.items()
            }


def _copies(arrays: Arrays) -> dict[str, Array]:
    return {name: array.copy() for name, array in arrays.items()}


def _joined(batches: Sequence[Arrays], count: int) -> dict[str, Array]:
    """Concatenate batches, without the last one's padding."""
    return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in (batches or [{}])[0]}
