"""In what two nets differ that a forward pass would feel."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

# How a layer begins and learns, and what code computes it, change no result; nor does what Caffe takes unasked, nor, in
# a deploy net, how much a dropout would drop.
_UNFELT = {"param", "blobs", "weight_filler", "bias_filler", "engine", "dropout_ratio"}
_UNASKED: Mapping[str, list[int]] = {"pad": [0], "stride": [1], "dilation": [1]}


def differences(net: Any, card: Any) -> list[str]:
    """Return in what a net differs from the one it should be, a few words each, in the order of layers.

    Parameters
    ----------
    net, card : NetParameter
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


def _layers(net: Any) -> dict[str, dict[str, str]]:
    """Return each layer's settings by its name."""
    return {("input" if layer.type == "Input" else layer.name): dict(_settings(layer)) for layer in net.layer}


def _unlike(layer: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys([*wanted, *found]):
        ours, theirs = wanted.get(key, "what Caffe takes unasked"), found.get(key, "not given")
        if ours != theirs:
            yield f"{layer}'s {key} is {theirs}, expected: {ours}"


def _settings(message: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of what a message sets that is not its default anyway."""
    for field, value in message.ListFields():
        if field.name in _UNFELT or (message.DESCRIPTOR.name == "LayerParameter" and _is_input_name(field, message)):
            continue
        repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
        values = list(value) if repeated else [value]
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in values:
                yield from _settings(one)
        elif values != _UNASKED.get(field.name, [field.default_value]):
            words = [_word(field, one) for one in values]
            yield field.name, " x ".join(words[1:] if field.name == "dim" else words)


def _is_input_name(field: Any, layer: Any) -> bool:
    return bool(field.name == "name" and layer.type == "Input")


def _word(field: Any, value: Any) -> str:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return str(field.enum_type.values_by_number[value].name)
    return f"{value:g}" if isinstance(value, float) else str(value)
