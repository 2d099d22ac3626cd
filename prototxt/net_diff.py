"""Differences of two nets that change a forward pass."""

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from .formats.messages import LayerParameter, NetParameter

# Fillers, multipliers and the engine change no result; nor do explicit default values, nor, in a deploy net, a dropout
# ratio.
_UNFELT = {"param", "blobs", "weight_filler", "bias_filler", "engine", "dropout_ratio"}
_UNASKED: Mapping[str, list[int]] = {"pad": [0], "stride": [1], "dilation": [1]}


def differences(net: NetParameter, card: NetParameter) -> list[str]:
    """Return the differences of a net from the one it should be, a few words each, in the order of layers.

    Parameters
    ----------
    net, card
        In the current format. The net's name, an Input layer's name and the batch size are ignored.
    """
    found, wanted = _layers(net), _layers(card)
    wrong = [f"layer {name} is missing" for name in wanted if name not in found]
    wrong += [f"layer {name} is one too many" for name in found if name not in wanted]
    if not wrong and [*found] != [*wanted]:
        wrong = [f"its layers are in another order: {', '.join(found)}"]
    for name in wanted:
        if name in found:
            wrong += _unlike(name, found[name], wanted[name])
    return wrong


def _layers(net: NetParameter) -> dict[str, dict[str, str]]:
    """Return each layer's settings by its name."""
    return {("input" if layer.type == "Input" else layer.name): dict(_settings(layer)) for layer in net.layer}


def _unlike(layer: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys([*wanted, *found]):
        ours, theirs = wanted.get(key), found.get(key)
        if ours != theirs:
            given = "not given" if theirs is None else theirs
            expected = "Caffe's default" if ours is None else ours
            yield f"{layer}'s {key} is {given}, expected: {expected}"


def _settings(message: Message) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each field that a message sets to another value than its default."""
    for field, value in message.ListFields():
        if field.name in _UNFELT or (field.name == "name" and _is_input(message)):
            continue
        values = list(value) if hasattr(value, "extend") else [value]
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in values:
                yield from _settings(one)
        elif values != _UNASKED.get(field.name, [field.default_value]):
            words = [_word(field, one) for one in values]
            yield field.name, " x ".join(words[1:] if field.name == "dim" else words)


def _is_input(message: Message) -> bool:
    return isinstance(message, LayerParameter) and message.type == "Input"


def _word(field: FieldDescriptor, value: float | str) -> str:
    if field.enum_type is not None and isinstance(value, int):
        return field.enum_type.values_by_number[value].name
    return f"{value:g}" if isinstance(value, float) else str(value)
