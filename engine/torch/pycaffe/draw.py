"""`caffe.draw`: pictures of nets, by Graphviz; its text needs no other package or program."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emotiw.engine.torch.graph import PHASES, State, graph_of
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.descriptors import enum_name
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter
from emotiw.prototxt.formats.upgrade import upgrade

_LAYER = {"shape": "box", "style": "filled", "fillcolor": "#6495ED"}
_COLOURS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF"}
_IN_PLACE = {"shape": "box", "style": "filled", "fillcolor": "#90EE90"}
_BLOB = {"shape": "octagon", "style": "filled", "fillcolor": "#E0E0E0"}


def draw_net(caffe_net: NetParameter, rankdir: str, ext: str = "png", phase: int | None = None) -> bytes:
    """Return a picture of a net.

    Parameters
    ----------
    caffe_net
        In any of Caffe's formats.
    rankdir
        Its direction: LR, TB, RL or BT.
    ext
        png, pdf, svg, or another format of Graphviz; dot: the text from which Graphviz draws.
    phase
        TRAIN or TEST: only the layers of that phase; None: all.

    Raises
    ------
    EmotiwError
        If Graphviz is not installed.
    """
    text = dot_text(caffe_net, rankdir, phase=phase).encode()
    if ext == "dot":
        return text
    program = shutil.which("dot")
    if program is None:
        raise EmotiwError("drawing needs Graphviz: apt-get install graphviz; the format dot, its text, needs nothing")
    done = subprocess.run([program, f"-T{ext}"], input=text, capture_output=True, check=False)
    if done.returncode:
        raise EmotiwError(f"Graphviz draws no {ext}: {done.stderr.decode(errors='replace').partition(chr(10))[0]}")
    return done.stdout


def draw_net_to_file(caffe_net: NetParameter, filename: str, rankdir: str = "LR", phase: int | None = None) -> None:
    """Write a picture of a net; the file's suffix is its format. See `draw_net`."""
    Path(filename).write_bytes(draw_net(caffe_net, rankdir, Path(filename).suffix[1:], phase))


def get_pydot_graph(caffe_net: NetParameter, rankdir: str, label_edges: bool = True, phase: int | None = None) -> Any:
    """Return a pydot.Dot of a net.

    Raises
    ------
    EmotiwError
        If pydot is not installed.
    """
    try:
        import pydot  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise EmotiwError("a pydot.Dot needs pydot: pip install pydot; draw_net does without it") from None
    return pydot.graph_from_dot_data(dot_text(caffe_net, rankdir, label_edges, phase))[0]


def dot_text(caffe_net: NetParameter, rankdir: str, label_edges: bool = True, phase: int | None = None) -> str:
    """Return a net in Graphviz's language: a box for each layer, an octagon for each blob.

    Parameters
    ----------
    caffe_net, rankdir, phase
        As for `draw_net`.
    label_edges
        Whether edges say how many outputs or the size of batches that a layer makes.
    """
    net = upgrade(caffe_net)
    layers = net.layer if phase is None else graph_of(net, State(PHASES[phase])).layers
    statements = dict.fromkeys(line for layer in layers for line in _statements(layer, label_edges))
    return "\n".join([f"digraph {_quoted(net.name or 'net')} {{", f"rankdir={rankdir};", *statements, "}\n"])


def _statements(layer: LayerParameter, label_edges: bool) -> Iterator[str]:
    """Yield the nodes and edges of a layer."""
    own = f"layer {layer.name}"
    in_place = list(layer.bottom) == list(layer.top)
    style = _IN_PLACE if in_place else {**_LAYER, "fillcolor": _COLOURS.get(layer.type, _LAYER["fillcolor"])}
    yield _node(own, _label(layer), style)
    for name in (*layer.bottom, *layer.top):
        yield _node(f"blob {name}", name, _BLOB)
    for name in layer.bottom:
        yield f"{_quoted(f'blob {name}')} -> {_quoted(own)};"
    for name in layer.top:
        label = f" [label={_quoted(_made(layer))}]" if label_edges and not in_place else ""
        yield f"{_quoted(own)} -> {_quoted(f'blob {name}')}{label};"


def _label(layer: LayerParameter) -> str:
    """Return a layer's name, type and geometry."""
    if layer.type in ("Convolution", "Deconvolution"):
        conv = layer.convolution_param
        sizes = (
            list(conv.kernel_size) or [conv.kernel_h, conv.kernel_w],
            list(conv.stride) or [conv.stride_h or 1, conv.stride_w or 1],
            list(conv.pad) or [conv.pad_h, conv.pad_w],
        )
    elif layer.type == "Pooling":
        pool = layer.pooling_param
        sizes = ([pool.kernel_size or pool.kernel_h], [pool.stride or pool.stride_h], [pool.pad or pool.pad_h])
    else:
        return f"{layer.name}\n({layer.type})"
    kind = f"{enum_name(layer.pooling_param, 'pool')} " if layer.type == "Pooling" else ""
    kernel, stride, pad = ("x".join(map(str, size)) for size in sizes)
    return f"{layer.name}\n({kind}{layer.type})\nkernel size: {kernel}\nstride: {stride}\npad: {pad}"


def _made(layer: LayerParameter) -> str:
    """Return what a layer's edge says: its number of outputs, or its batch size."""
    numbers: Mapping[str, int] = {
        "Convolution": layer.convolution_param.num_output,
        "Deconvolution": layer.convolution_param.num_output,
        "InnerProduct": layer.inner_product_param.num_output,
    }
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    return str(numbers.get(layer.type, ""))


def _node(name: str, label: str, style: Mapping[str, str]) -> str:
    attributes = ", ".join(f"{key}={_quoted(value)}" for key, value in {"label": label, **style}.items())
    return f"{_quoted(name)} [{attributes}];"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
