"""`caffe.NetSpec`: nets written in Python, as in ``n.conv = L.Convolution(n.data, kernel_size=3)``."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from emotiw.prototxt.formats.descriptors import message_class
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter


@dataclass(frozen=True, eq=False)
class Function:
    """A layer: its type, its inputs, and its settings."""

    type_name: str
    inputs: tuple["Top", ...]
    params: Mapping[str, object]
    ntop: int = 1
    in_place: bool = False
    tops: tuple["Top", ...] = field(init=False)

    def __post_init__(self) -> None:
        for number, given in enumerate(self.inputs):
            if not isinstance(given, Top):
                raise TypeError(f"{self.type_name} input {number} is not a Top (type is {type(given)})")
        object.__setattr__(self, "tops", tuple(Top(self, n) for n in range(self.ntop)))


@dataclass(frozen=True, eq=False)
class Top:
    """The n-th blob that a layer makes."""

    fn: Function
    n: int

    def to_proto(self) -> NetParameter:
        """Return the net that computes this top."""
        return to_proto(self)


Output = Top | Function  # a Function represents a layer without tops, such as a Silence


class NetSpec:
    """Tops by name; unnamed tops of the layers before them are named by type and number."""

    tops: dict[str, Output]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, top: Output) -> None:
        self.tops[name] = top

    def __getattr__(self, name: str) -> Any:  # an Output: a Top, unless it was given a Function
        if name not in self.tops:
            raise AttributeError(f"no top {name!r} in this net: it has {', '.join(self.tops)}")
        return self.tops[name]

    def __setitem__(self, name: str, top: Output) -> None:
        self.tops[name] = top

    def __getitem__(self, name: str) -> Any:
        return self.tops[name]

    def to_proto(self) -> NetParameter:
        """Return the net that computes all tops."""
        return _net(self.tops.values(), {top: name for name, top in self.tops.items()})


def to_proto(*tops: Top) -> NetParameter:
    """Return the net that computes these tops."""
    return _net(tops, {})


class Layers:
    """Layers by type: ``layers.Pooling(bottom, kernel_size=2, ntop=1, in_place=False)`` returns a Top, or several.

    With `ntop` 0, as for a Silence, it returns the Function itself.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def layer(*inputs: Top, ntop: int = 1, in_place: bool = False, **given: object) -> Any:  # `ntop` decides which
            made = Function(name, inputs, given, ntop, in_place)
            if ntop == 0:
                return made
            return made.tops[0] if ntop == 1 else made.tops

        return layer


class Parameters:
    """The enums of layers' parameters: ``params.Pooling.MAX``."""

    def __getattr__(self, name: str) -> Any:  # enums are attributes that no type declares
        return message_class(f"{name}Parameter")


layers, params = Layers(), Parameters()

# The field of a layer for its type's parameters, by the message's name: "Convolution" -> "convolution_param".
_FIELDS = {
    each.message_type.name.removesuffix("Parameter"): each.name
    for each in LayerParameter.DESCRIPTOR.fields
    if each.message_type and each.name.endswith("_param")
}


def _net(tops: Iterable[Output], names: dict[Output, str]) -> NetParameter:
    """Return a net in which each layer comes after its inputs."""
    made: dict[Function, LayerParameter] = {}
    counts: Counter[str] = Counter()
    for top in tops:
        _add(top if isinstance(top, Function) else top.fn, made, names, counts)
    return NetParameter(layer=made.values())


def _add(
    function: Function, made: dict[Function, LayerParameter], names: dict[Output, str], counts: Counter[str]
) -> None:
    if function in made:
        return
    for given in function.inputs:
        _add(given.fn, made, names, counts)
    layer = LayerParameter(type=function.type_name)
    layer.bottom.extend(made[given.fn].top[given.n] for given in function.inputs)
    named = [_name(top, function, names, counts) for top in ([] if function.in_place else function.tops)]
    layer.top.extend(layer.bottom if function.in_place else named)
    layer.name = _name(function.tops[0] if function.tops else function, function, names, counts)
    for key, value in function.params.items():
        own = getattr(layer, _FIELDS[function.type_name]) if function.type_name in _FIELDS else layer
        inner = not key.endswith("param") and key in own.DESCRIPTOR.fields_by_name
        assign_proto(own if inner else layer, key, value)
    made[function] = layer


def _name(what: Output, function: Function, names: dict[Output, str], counts: Counter[str]) -> str:
    if what not in names:
        counts[function.type_name] += 1
        names[what] = f"{function.type_name}{counts[function.type_name]}"
    return names[what]


def assign_proto(proto: Message, name: str, value: object) -> None:
    """Set a field: a list, or one value, for a repeated field, a dict for a message."""
    if name not in proto.DESCRIPTOR.fields_by_name:
        raise AttributeError(f"{proto.DESCRIPTOR.name} has no field {name!r}")
    place = getattr(proto, name)
    if hasattr(place, "extend"):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                _assign_all(place.add(), each)
            else:
                place.append(each)
    elif isinstance(value, dict):
        _assign_all(place, value)
    else:
        setattr(proto, name, value)


def _assign_all(proto: Message, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        assign_proto(proto, name, value)
