"""`caffe.Layer`: layers written in Python, for the type Python of a prototxt."""

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor

from emotiw.engine.torch.layers.layer import Layer as TorchLayer
from emotiw.engine.torch.layers.layer import Learned, Shape
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .blobs import Blob


class BlobVec(list[Blob]):
    """The learned blobs of a Python layer."""

    def add_blob(self, *shape: int) -> None:
        """Add a blob of zeros; call it in `setup`."""
        self.append(Blob.of(torch.zeros(shape)))


class Layer:
    """The base class of layers written in Python.

    A subclass has these methods. `bottom` and `top` are its blobs; a gradient is written to their `diff`.

    - `setup(bottom, top)`: check the bottoms, read `param_str`, and add learned blobs by `self.blobs.add_blob(*shape)`
    - `reshape(bottom, top)`: set the shapes of the tops by `top[0].reshape(*shape)`; called before every forward pass
    - `forward(bottom, top)`
    - `backward(top, propagate_down, bottom)`, where `propagate_down` says for each bottom whether it needs a gradient

    Attributes
    ----------
    param_str
        The text of that name in the prototxt's `python_param`.
    phase
        TRAIN or TEST, as a number.
    blobs
        The learned blobs.
    type
        Its type in a prototxt.
    """

    type = "Python"
    param_str = ""
    phase = 0

    def __init__(self, param: LayerParameter) -> None:
        self.blobs = BlobVec()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Prepare the layer; by default there is nothing to prepare."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Set the shapes of the tops."""
        raise NotImplementedError(f"{type(self).__name__} has no method reshape(bottom, top)")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Compute the tops."""
        raise NotImplementedError(f"{type(self).__name__} has no method forward(bottom, top)")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Compute the gradients of the bottoms and of the learned blobs."""
        raise NotImplementedError(f"{type(self).__name__} has no method backward(top, propagate_down, bottom)")


class PythonLayer(TorchLayer):
    """The layer of a net that calls a `Layer`; `connect` it to its blobs before anything else.

    Attributes
    ----------
    called
        The `Layer`.
    """

    bottoms = (0, None)
    tops = (0, None)

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        self.called = _class_of(param)(param)
        self.called.param_str, self.called.phase = param.python_param.param_str, param.phase

    def connect(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Set the blobs."""
        self._bottom, self._top = bottom, top

    def learned(self, shapes: Sequence[Shape]) -> list[Learned]:
        """Return the blobs that `setup` adds; `adopt` copies their values."""
        self.called.setup(self._bottom, self._top)
        return [Learned(blob.shape, FillerParameter()) for blob in self.called.blobs]

    def adopt(self, blobs: Sequence[Blob], owned: Sequence[bool]) -> None:
        """Give the blobs that `setup` added the memory of the net's; those of other layers keep their own values."""
        for blob, given, own in zip(self.called.blobs, blobs, owned, strict=True):
            if own:
                given.tensor.copy_(blob.tensor)
            blob.memories = given.memories

    def infer(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the shapes that `reshape` gives the tops."""
        self.called.reshape(self._bottom, self._top)
        return [blob.shape for blob in self._top]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the tops, computed from the blobs."""
        self.called.reshape(self._bottom, self._top)
        self.called.forward(self._bottom, self._top)
        return [blob.tensor for blob in self._top]

    def backward(self, propagate_down: Sequence[bool]) -> None:
        """Compute the gradients of the blobs."""
        self.called.backward(self._top, list(propagate_down), self._bottom)


def _class_of(param: LayerParameter) -> type[Layer]:
    """Return the class of a layer, which any module may define."""
    name, kind = param.python_param.module, param.python_param.layer
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise  # one that this module imports
        raise EmotiwError(f"there is no module {name!r}: add its folder to PYTHONPATH") from None
    except ValueError:
        raise EmotiwError("its python_param has no module") from None
    found = getattr(module, kind, None)
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise EmotiwError(f"module {name!r} has no class {kind!r} that is a caffe.Layer")
    return found
