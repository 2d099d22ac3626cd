"""pycaffe's blobs: values and gradients as NumPy arrays that a user can write to in place."""

from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotiw.engine.torch.layers.layer import Shape
from emotiw.errors import EmotiwError

Array = NDArray[Any]


class Memory:
    """Values shared by the user and the device: Caffe's SyncedMemory.

    On the CPU both use one memory. On a GPU an array that was handed out counts as written to; to see the results of a
    pass, get the array again.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._array, self._written = tensor.detach(), np.empty(0), False
        self.shape: Shape = tuple(tensor.shape)

    @property
    def array(self) -> Array:
        """Return a float32 array, for reading and writing."""
        if _is_host(self._tensor):
            return np.asarray(self._tensor.numpy())
        if self._array.shape != self.shape or not self._array.size:
            self._array = np.empty(self.shape, np.float32)
        if not self._written:
            self._array[...] = self._tensor.cpu().numpy()
            self._written = True
        return self._array

    @property
    def tensor(self) -> Tensor:
        """Return the device's tensor, with the user's changes; changing it changes the user's array."""
        if self._written:
            self._tensor.copy_(torch.from_numpy(self._array))
            self._written = False
        return self._tensor

    def view(self, shape: Shape) -> "Memory":
        """Return the same values in another shape."""
        return Memory(self.tensor.view(shape))


def _is_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


class Blob:
    """A blob of a net.

    Attributes
    ----------
    data_memory, diff_memory
        Its values and their gradient.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.data_memory, self._diff_memory = Memory(tensor), Memory(torch.empty(0))
        self._has_diff = False

    @property
    def diff_memory(self) -> Memory:
        """Return the gradient's memory, which is allocated at first use."""
        if not self._has_diff:
            self._diff_memory, self._has_diff = Memory(torch.zeros_like(self.data_memory.tensor)), True
        return self._diff_memory

    @property
    def data(self) -> Array:
        """Return its values, float32; they may be written to in place."""
        return self.data_memory.array

    @property
    def diff(self) -> Array:
        """Return its gradient, float32; it may be written to in place."""
        return self.diff_memory.array

    @property
    def shape(self) -> Shape:
        """Return the size of each axis."""
        return self.data_memory.shape

    @property
    def count(self) -> int:
        """Return the number of its values."""
        return prod(self.shape)

    @property
    def num(self) -> int:
        """Return the size of its first axis."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """Return the size of its second axis, 1 if it has none."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """Return the size of its third axis, 1 if it has none."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """Return the size of its fourth axis, 1 if it has none."""
        return self._legacy(3)

    def reshape(self, *shape: int) -> None:
        """Change its shape; values stay if their number is unchanged, else they become 0."""
        if shape == self.shape:
            return
        if prod(shape) == self.count:
            self.data_memory = self.data_memory.view(shape)
            self._diff_memory = self._diff_memory.view(shape) if self._has_diff else self._diff_memory
        else:
            self.data_memory, self._has_diff = Memory(self.data_memory.tensor.new_zeros(shape)), False

    def share_data(self, other: "Blob") -> None:
        """Share the values of another blob: Caffe's ShareData."""
        self.reshape(*other.shape)
        self.data_memory = other.data_memory

    def _legacy(self, axis: int) -> int:
        if len(self.shape) > 4:
            raise EmotiwError(f"a blob of {len(self.shape)} axes has no num, channels, height and width: see its shape")
        return self.shape[axis] if axis < len(self.shape) else 1


class ParamBlob(Blob):
    """A learned blob; its gradient is the parameter's `grad`, so solvers and users see the same values.

    Parameters
    ----------
    parameter
        The parameter, which several layers may share.
    shape
        Its shape in this layer; a shared blob may have another shape in its owner.
    """

    def __init__(self, parameter: torch.nn.Parameter, shape: Shape) -> None:
        super().__init__(parameter.detach().view(shape))
        self.parameter, self._own = parameter, shape

    @property
    def diff_memory(self) -> Memory:
        """Return the gradient's memory."""
        if self.parameter.grad is None:
            self.parameter.grad, self._has_diff = torch.zeros_like(self.parameter), False
        if not self._has_diff:
            self._diff_memory, self._has_diff = Memory(self.parameter.grad.view(self._own)), True
        return self._diff_memory

    def reshape(self, *shape: int) -> None:
        """Refuse another shape: the layer needs this one."""
        if shape != self.shape:
            raise EmotiwError(f"the shape of a learned blob, {self.shape}, cannot change: change the prototxt")
