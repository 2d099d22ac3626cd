"""pycaffe's blobs: values and gradients as NumPy arrays that a user can write to in place."""

from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotiw.engine.torch.layers.layer import Shape
from emotiw.engine.torch.params import shape_count
from emotiw.errors import EmotiwError

Array = NDArray[Any]


class Memory:
    """Values shared by the user and the device, without a shape: Caffe's SyncedMemory.

    On the CPU both use one memory. On a GPU an array that was handed out counts as written to; to see the results of a
    pass, get the array again.

    Parameters
    ----------
    tensor
        The values, contiguous; they are not copied.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._array, self._written = tensor.detach().view(-1), np.empty(0, np.float32), False

    @property
    def size(self) -> int:
        """Return the number of values."""
        return self._tensor.numel()

    def array(self, shape: Shape) -> Array:
        """Return the first values as a float32 array of this shape, for reading and writing."""
        if _is_host(self._tensor):
            return np.asarray(self._tensor[: prod(shape)].view(shape).numpy())
        if not self._array.size:
            self._array = np.empty(self.size, np.float32)
        if not self._written:
            self._array[...] = self._tensor.cpu().numpy()
            self._written = True
        return self._array[: prod(shape)].reshape(shape)

    def tensor(self, shape: Shape) -> Tensor:
        """Return the first values on the device, with the user's changes; changing them changes the user's array."""
        if self._written:
            self._tensor.copy_(torch.from_numpy(self._array))
            self._written = False
        return self._tensor[: prod(shape)].view(shape)


def _is_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


class Memories:
    """The memory of a blob's values, and that of their gradient, which is allocated at first use.

    Attributes
    ----------
    data
        Of the values; several blobs may share it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.data, self._diff = Memory(tensor), Memory(tensor.new_empty(0))

    @property
    def diff(self) -> Memory:
        """Return the gradient's memory."""
        if self._diff.size < self.data.size:
            self._diff = Memory(torch.zeros_like(self.data.tensor((self.data.size,))))
        return self._diff

    def hold(self, count: int) -> None:
        """Make room for so many values; new memory is zero, as is its gradient."""
        if count > self.data.size:
            self.data = Memory(self.data.tensor((self.data.size,)).new_zeros(count))


class ParamMemories(Memories):
    """The memories of a learned blob; its gradient is the parameter's `grad`, so solvers and users see the same.

    Parameters
    ----------
    parameter
        The parameter.
    """

    def __init__(self, parameter: torch.nn.Parameter) -> None:
        super().__init__(parameter)
        self._parameter, self._grad = parameter, parameter.grad

    @property
    def diff(self) -> Memory:
        """Return the gradient's memory."""
        if self._parameter.grad is None:
            self._parameter.grad = torch.zeros_like(self._parameter)
        if self._grad is not self._parameter.grad:
            self._grad = self._parameter.grad
            self._diff = Memory(self._grad)
        return self._diff


class Blob:
    """A blob of a net.

    Parameters
    ----------
    memories
        Its values and their gradient; blobs may share them.
    shape
        The size of each axis.
    """

    def __init__(self, memories: Memories, shape: Shape) -> None:
        self.memories, self._shape = memories, shape

    @classmethod
    def of(cls, tensor: Tensor) -> "Blob":
        """Return a blob with these values, which are not copied."""
        return cls(Memories(tensor), tuple(tensor.shape))

    @property
    def data(self) -> Array:
        """Return its values, float32; they may be written to in place."""
        return self.memories.data.array(self._shape)

    @property
    def diff(self) -> Array:
        """Return its gradient, float32; it may be written to in place."""
        return self.memories.diff.array(self._shape)

    @property
    def tensor(self) -> Tensor:
        """Return its values on the device."""
        return self.memories.data.tensor(self._shape)

    @property
    def gradient(self) -> Tensor:
        """Return its gradient on the device."""
        return self.memories.diff.tensor(self._shape)

    @property
    def shape(self) -> Shape:
        """Return the size of each axis."""
        return self._shape

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
        """Change its shape; values stay where they are in memory, which grows, then zero, but never shrinks.

        Raises
        ------
        EmotiwError
            If it is a learned blob: its layer needs its shape.
        """
        if shape == self._shape:
            return
        if isinstance(self.memories, ParamMemories):
            raise EmotiwError(f"the shape of a learned blob, {self._shape}, cannot change: change the prototxt")
        self.memories.hold(shape_count(shape))
        self._shape = shape

    def share_data(self, other: "Blob") -> None:
        """Share the values of another blob, but not its gradient: Caffe's ShareData."""
        self._shape, self.memories.data = other.shape, other.memories.data

    def _legacy(self, axis: int) -> int:
        if len(self.shape) > 4:
            raise EmotiwError(f"a blob of {len(self.shape)} axes has no num, channels, height and width: see its shape")
        return self.shape[axis] if axis < len(self.shape) else 1
