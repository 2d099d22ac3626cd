"""In what two nets differ that a forward pass would feel."""

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from .formats.messages import LayerParameter, NetParameter

# How a layer begins and learns, and what code computes it, change no result; nor does what Caffe takes unasked, nor, in
# a deploy net, how much a dropout would drop.
_UNFELT = {"param", "blobs", "weight_filler", "bias_filler", "engine", "dropout_ratio"}
_UNASKED: Mapping[str, list[int]] = {"pad": [0], "stride": [1], "dilation": [1]}


def differences(net: NetParameter, card: NetParameter) -> list[str]:
    """Return in what a net differs from the one it should be, a few words each, in the order of layers.

    Parameters
    ----------
    net, card
        In today's format. The net's name, an Input layer's name and the size of a batch do not count.
    """
    found, wanted = _layers(net), _layers(card)
    wrong = [f"layer {name} is missing" for name in wanted if name not in found]
    wrong += [f"layer {name} is one too many" for name in found if name not in wanted]
    if not wrong and [*found] != [*wanted]:
        wrong = [f"its layers stand in another order: {', '.join(found)}"]
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
            expected = "what Caffe takes unasked" if ours is None else ours
            yield f"{layer}'s {key} is {given}, expected: {expected}"


def _settings(message: Message) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of what a message sets that is not its default anyway."""
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
