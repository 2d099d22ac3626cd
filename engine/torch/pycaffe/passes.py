"""What there is in pycaffe's nets, and their passes forward and backward."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from emotiw.errors import EmotiwError

from .blobs import Array, Blob
from .layerwise import Layerwise


@dataclass(frozen=True)
class LayerView:
    """A layer: its type, and what it learns."""

    type: str
    blobs: Sequence[Blob]


class RunningNet:
    """A net's blobs by name, and the passes.

    Attributes
    ----------
    layers
        In order, with the Split layers that Caffe inserts.
    layer_dict, params
        By layer name; `params` has those alone that learn.
    blobs, blob_loss_weights
        By blob name.
    top_names, bottom_names
        By layer name.
    inputs, outputs
        The names of the blobs that a user sets, and of those that no layer takes.
    """

    _net: Layerwise

    def _show(self) -> None:
        """Find all that by name."""
        net = self._net
        self._layer_names = [layer.param.name for layer in net.layers]
        self.layers = [LayerView(layer.param.type, blobs) for layer, blobs in zip(net.layers, net.learned, strict=True)]
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers, strict=True))
        self.params = OrderedDict((name, layer.blobs) for name, layer in self.layer_dict.items() if layer.blobs)
        self.blobs: OrderedDict[str, Blob] = OrderedDict(net.store)
        weights = {
            name: weight
            for layer, names in zip(net.layers, net.tops, strict=True)
            for name, weight in zip(names, layer.loss_weights, strict=False)
        }
        self.blob_loss_weights = OrderedDict((name, weights[name]) for name in self.blobs)
        self.top_names = OrderedDict(zip(self._layer_names, net.tops, strict=True))
        self.bottom_names = OrderedDict(
            (name, list(layer.param.bottom)) for name, layer in zip(self._layer_names, net.layers, strict=True)
        )
        self.inputs, self.outputs = list(net.inputs), list(net.outputs)

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
            What to return beside the outputs, or beside the tops of `end`.
        start, end
            None: the first, the last.
        **inputs
            All inputs, or none: then what the blobs hold is taken.

        Returns
        -------
        dict
            The blobs' own arrays, by name: the next pass writes to them.
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
            Whose gradients to return beside the inputs', or beside the bottoms' of `end`.
        start, end
            None: the last, the first.
        **outputs
            The gradients of all outputs, or none: then what the blobs hold is taken, where it began with loss weights.

        Returns
        -------
        dict
            The gradients' own arrays, by blob name: the next pass writes to them.
        """
        first = len(self.layers) - 1 if start is None else self._number(start)
        last = 0 if end is None else self._number(end)
        self._set(outputs, self.outputs, "diff")
        self._backward(first, last)
        made = self.inputs if end is None else self.bottom_names[end]
        return {name: self.blobs[name].diff for name in [*made, *(diffs or [])]}

    def reshape(self) -> None:
        """Give every blob the shape that follows from those of the inputs."""
        self._net.reshape()

    def clear_param_diffs(self) -> None:
        """Set the gradients of all that the net learns to 0, in place."""
        for blobs in self.params.values():
            for blob in blobs:
                blob.diff_memory.tensor.zero_()

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
