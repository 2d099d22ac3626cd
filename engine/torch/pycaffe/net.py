"""`caffe.Net`: pycaffe's names for a net."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from emotiw.engine.torch.graph import PHASES, State, read_graph
from emotiw.engine.torch.hdf5 import copy_from_hdf5, write_hdf5
from emotiw.engine.torch.weights import copy_from, share_weights, write_weights

from .batches import BatchedNet
from .blobs import Array
from .layerwise import Layerwise
from .memory_data import Feeds
from .modes import device, draw_seed


@dataclass(frozen=True)
class _Given:
    """What a net is opened with, beside its prototxt."""

    phase: int
    level: int = 0
    stages: Iterable[str] | None = None
    weights: str | None = None


class Net(BatchedNet):
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
        Of its state, beside the phase.
    weights
        A caffemodel.

    Raises
    ------
    EmotiwError
        Where Caffe would end the process, as of a file that is missing, or a layer that is not there.
    """

    def __init__(self, network_file: str, *args: Any, **named: Any) -> None:
        order = ("weights", "phase") if args and isinstance(args[0], str) else ("phase", "level", "stages", "weights")
        if len(args) > len(order):
            raise TypeError(f"Net takes {', '.join(order)} behind the prototxt, not {len(args)} arguments")
        given = _Given(**dict(zip(order, args, strict=False)), **named)
        state = State(PHASES[given.phase], given.level, frozenset(given.stages or ()))
        feeds = Feeds(device(), draw_seed())
        self._adopt(Layerwise(read_graph(Path(network_file), state), feeds, device=device()), feeds)
        if given.weights:
            self.copy_from(given.weights)

    @classmethod
    def of(cls, net: Layerwise, feeds: Feeds) -> Self:
        """Return a net that is open already, a solver's."""
        made = cls.__new__(cls)
        made._adopt(net, feeds)
        return made

    def copy_from(self, path: str) -> None:
        """Copy the weights of a caffemodel, by layer name."""
        if path.endswith(".h5"):  # by which Caffe tells it
            self.load_hdf5(path)
            return
        self._net.settle()
        copy_from(self._net, Path(path))
        self._net.forget()

    def share_with(self, other: "Net") -> None:
        """Have the weights of another net's layers of the same names as its own."""
        share_weights(self._net, other._net)
        self._net.learn_with(other._net)
        self._net.forget()
        self._show()

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

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Have the net's first layer, a MemoryData, go through arrays from now on, around and around.

        Parameters
        ----------
        data : (N, C, H, W) float32
            N is a multiple of the layer's batch_size.
        labels : (N,), or (N, 1, 1, 1), float32
        """
        self._feeds.set_input_arrays(self._net.layers[0], data, labels)

    def before_forward(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called with a layer's number before it runs."""
        self._net.before_forward.append(callback)

    def after_forward(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called with a layer's number after it ran."""
        self._net.after_forward.append(callback)

    def before_backward(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called with a layer's number before it runs backward."""
        self._net.before_backward.append(callback)

    def after_backward(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called with a layer's number after it ran backward."""
        self._net.after_backward.append(callback)

    def _adopt(self, net: Layerwise, feeds: Feeds) -> None:
        self._net, self._feeds = net, feeds
        self._show()
