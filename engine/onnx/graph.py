"""An ONNX graph under construction: nodes, constants, and values on which one computes as on arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, helper

Array: TypeAlias = NDArray[np.generic]
Attribute: TypeAlias = int | float | Sequence[int]

OPSET, IR_VERSION = 13, 7
"""Of 2020, so that older runtimes read the files, too; nothing here needs a later one."""

TO_END = int(np.iinfo(np.int32).max)
"""The end of an axis, for `Value.cut`; some runtimes keep it in 32 bits."""


class Graph:
    """Nodes and constants, in the order in which they are added.

    Attributes
    ----------
    model
        The ModelProto in which they are stored at once: weights are large, and a copy of a message copies them.
    """

    def __init__(self) -> None:
        self.model = ModelProto(ir_version=IR_VERSION, producer_name="emotiw")
        self.model.opset_import.append(helper.make_opsetid("", OPSET))
        self._used: dict[str, int] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def value(self, wanted: str, dtype: np.dtype[np.generic] | type[np.generic]) -> "Value":
        """Return a new value with the wanted name, or that with a number if it is in use."""
        number = self._used[wanted] = self._used.get(wanted, 0) + 1
        if number == 1:
            return Value(self, wanted, np.dtype(dtype))
        return self.value(f"{wanted}_{number}", dtype)

    def input(self, name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> "Value":
        """Return the input of the graph."""
        value = self.value(name, dtype)
        self.model.graph.input.append(_described(value, shape))
        return value

    def output(self, value: "Value", shape: Sequence[int | str]) -> None:
        """Make a value an output of the graph."""
        self.model.graph.output.append(_described(value, shape))

    def constant(self, array: Array, name: str = "") -> "Value":
        """Return a constant; equal ones without a name of their own are stored once."""
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        key = array.dtype.str, array.shape, data
        if not name and key in self._small:
            return self._small[key]
        value = self.value(name or "constant", array.dtype)
        self.model.graph.initializer.add(
            name=value.name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape, raw_data=data
        )
        if not name:
            self._small[key] = value
        return value


@dataclass(frozen=True)
class Value:
    """A tensor in a graph. Arithmetic with a value, or with a number in its own type, adds a node.

    Attributes
    ----------
    graph, name
        Its graph, and its name there.
    dtype
        The type of its elements.
    """

    graph: Graph
    name: str
    dtype: np.dtype[np.generic]

    def then(self, operator: str, *others: "Value", name: str = "", **attributes: Attribute) -> "Value":
        """Add a node whose first input is this value; return its output, of the same element type.

        Parameters
        ----------
        operator
            The node's type in ONNX.
        others
            Its other inputs.
        name
            Of the node and of its output; by default the operator's.
        attributes
            Of the node.
        """
        output = self.graph.value(name or operator.lower(), self.dtype)
        inputs = [value.name for value in (self, *others)]
        node = self.graph.model.graph.node.add(op_type=operator, input=inputs, output=[output.name], name=output.name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        return output

    def cast(self, dtype: type[np.generic]) -> "Value":
        """Return it with another element type."""
        return self.then("Cast", to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype))).typed(dtype)

    def typed(self, dtype: type[np.generic]) -> "Value":
        """Return the output of a node that gives elements of another type than it takes."""
        return replace(self, dtype=np.dtype(dtype))

    def cut(self, axes: Sequence[int], begins: Sequence[int], ends: Sequence[int]) -> "Value":
        """Return a part of it, as array[begin:end] does for each axis; negative ends count from the axis's end."""
        parts = (self.graph.constant(np.array(part, np.int64)) for part in (begins, ends, axes))
        return self.then("Slice", *parts)

    def __add__(self, other: "Value | float") -> "Value":
        return self.then("Add", self._like(other))

    def __sub__(self, other: "Value | float") -> "Value":
        return self.then("Sub", self._like(other))

    def __mul__(self, other: "Value | float") -> "Value":
        return self.then("Mul", self._like(other))

    def __truediv__(self, other: "Value | float") -> "Value":
        return self.then("Div", self._like(other))

    def __ge__(self, other: "Value | float") -> "Value":
        return self.then("GreaterOrEqual", self._like(other)).typed(np.bool_)

    def __le__(self, other: "Value | float") -> "Value":
        return self.then("LessOrEqual", self._like(other)).typed(np.bool_)

    def __lt__(self, other: "Value | float") -> "Value":
        return self.then("Less", self._like(other)).typed(np.bool_)

    def __neg__(self) -> "Value":
        return self.then("Neg")

    def _like(self, other: "Value | float") -> "Value":
        return other if isinstance(other, Value) else self.graph.constant(np.array(other, self.dtype))


def _described(value: Value, shape: Sequence[int | str]) -> ValueInfoProto:
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)
