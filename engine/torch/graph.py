"""The layers of a prototxt that run in a state: Caffe's Net::FilterNet and StateMeetsRule."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter, NetStateRule, parse_text, prototxt_of
from emotiw.prototxt.formats.upgrade import upgrade

Phase = Literal["TRAIN", "TEST"]
PHASES: tuple[Phase, Phase] = ("TRAIN", "TEST")  # by their numbers in Caffe's messages

_TOKEN = re.compile(
    r"""(?P<skipped>\#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<brace>[{}<>])|(?P<word>\w+)"""
)


@dataclass(frozen=True)
class State:
    """Caffe's NetState, to which a layer's `include` and `exclude` rules apply.

    Attributes
    ----------
    phase
        TRAIN or TEST.
    level
        None: the level of the prototxt's own `state`, 0 if it has none.
    stages
        In addition to those of the prototxt's own `state`.
    """

    phase: Phase
    level: int | None = None
    stages: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Graph:
    """The layers that run in a state, in order.

    Attributes
    ----------
    name
        The net's.
    layers
        LayerParameters, each with its `phase`; excluded layers are left out.
    phase
        The state's.
    force_backward
        Whether gradients reach the inputs too.
    where
        The location of each layer for errors, ``"path:line: layer 'conv1' (Convolution)"``.
    """

    name: str
    layers: tuple[LayerParameter, ...]
    phase: Phase
    force_backward: bool
    where: tuple[str, ...]


def read_graph(path: Path, state: State) -> Graph:
    """Return the graph of a prototxt file, in any of Caffe's formats.

    Raises
    ------
    EmotiwError
        If the file is not a net.
    """
    try:
        text = prototxt_of(path)
    except OSError as error:
        raise EmotiwError(f"{path}: {error.strerror}") from None
    return graph_of(parse_text(text, NetParameter, str(path)), state, str(path), layer_lines(text))


def graph_of(net: NetParameter, state: State, source: str = "the net", lines: Iterable[int] = ()) -> Graph:
    """Return the graph of a NetParameter.

    Parameters
    ----------
    net
        In any of Caffe's formats; it is not changed.
    state
        The state to which its rules apply.
    source, lines
        The net's name in errors, and the line at which each of its layers begins, if known.
    """
    upgraded = upgrade(net, source)
    level = net.state.level if state.level is None else state.level
    stages = state.stages | set(net.state.stage)
    known = list(lines)
    # Named inputs have become an Input layer, which has no line in the file.
    places = [None] * (len(upgraded.layer) - len(known)) + known if known else [None] * len(upgraded.layer)
    kept, where = [], []
    for layer, line in zip(upgraded.layer, places, strict=True):
        place = (
            f"{source}:{line}: layer {layer.name!r} ({layer.type})"
            if line
            else f"{source}: layer {layer.name!r} ({layer.type})"
        )
        if layer.include and layer.exclude:
            raise EmotiwError(f"{place} has include rules and exclude rules: Caffe takes either")
        if _included(layer, PHASES.index(state.phase), level, stages):
            if not layer.HasField("phase"):
                layer.phase = PHASES.index(state.phase)
            kept.append(layer)
            where.append(place)
    return Graph(upgraded.name, tuple(kept), state.phase, upgraded.force_backward, tuple(where))


def layer_lines(text: str) -> list[int]:
    """Return the line, from 1, at which each `layer` or `layers` of a prototxt begins."""
    lines, depth = [], 0
    for token in _TOKEN.finditer(text):
        if token["brace"]:
            depth += 1 if token["brace"] in "{<" else -1
        elif depth == 0 and token["word"] in ("layer", "layers"):
            lines.append(text.count("\n", 0, token.start()) + 1)
    return lines


def _included(layer: LayerParameter, phase: int, level: int, stages: frozenset[str]) -> bool:
    if layer.include:
        return any(_meets(rule, phase, level, stages) for rule in layer.include)
    return not any(_meets(rule, phase, level, stages) for rule in layer.exclude)


def _meets(rule: NetStateRule, phase: int, level: int, stages: frozenset[str]) -> bool:
    """Return whether a state has all stages of a rule and none of its not_stages, and a level in its range."""
    return (
        (not rule.HasField("phase") or rule.phase == phase)
        and (not rule.HasField("min_level") or level >= rule.min_level)
        and (not rule.HasField("max_level") or level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )
