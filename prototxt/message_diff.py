"""Differences of two messages, field by field, as text: `base_lr 0.004 -> 0.001`."""

from collections.abc import Collection, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from .formats.descriptors import enum_name
from .formats.messages import LayerParameter, NetParameter

NOT_GIVEN = "not given"


def changes(old: Message, new: Message, ignored: Collection[str] = ()) -> list[str]:
    """Return every setting that differs, as `name old -> new`, in the order of the messages' fields.

    Parameters
    ----------
    old, new
        Messages of the same class. A net's layers are compared by name and phase.
    ignored
        Names of fields to ignore, on any level.

    Examples
    --------
    >>> from emotiw.prototxt.formats.messages import SolverParameter
    >>> changes(SolverParameter(base_lr=0.004), SolverParameter(base_lr=0.001, stepvalue=[5, 9]))
    ['base_lr 0.004 -> 0.001', 'stepvalue not given -> 5, 9']
    """
    before, after = (dict(_settings(message, frozenset(ignored))) for message in (old, new))
    return [
        f"{name} {before.get(name, NOT_GIVEN)} -> {after.get(name, NOT_GIVEN)}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _settings(message: Message, ignored: frozenset[str], inside: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and the value, as text, of each field that a message sets."""
    for field, value in message.ListFields():
        if field.name in ignored:
            continue
        values = list(value) if hasattr(value, "extend") else [value]
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            yield inside + field.name, ", ".join(_word(field, one) for one in values)
            continue
        for number, one in enumerate(values):
            name = _layer(one) if isinstance(message, NetParameter) and field.name == "layer" else field.name
            nth = f"[{number}]" if len(values) > 1 and name == field.name else ""
            yield from _settings(one, ignored, f"{inside}{name}{nth} ")


def _layer(layer: LayerParameter) -> str:
    """Return a layer's name, with its phase: the data layers of both phases have the same name."""
    phases = [enum_name(rule, "phase") for rule in layer.include if rule.HasField("phase")]
    return " ".join([layer.name, *phases])


def _word(field: FieldDescriptor, value: float | str) -> str:
    if field.enum_type is not None and isinstance(value, int):
        return field.enum_type.values_by_number[value].name
    return f"{value:g}" if isinstance(value, float) else str(value)
