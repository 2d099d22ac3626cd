"""The model card of a net, as Caffe's own models have one: front matter, differences, layers with their shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .shapes import Shape, parameters, shapes


@dataclass(frozen=True)
class Origin:
    """The published net that ours follows.

    Attributes
    ----------
    facts
        The front matter: name, caffemodel (their file), url, licence (of their file), source.
    differences
        In what ours differs from it, a sentence each.
    """

    facts: Mapping[str, str]
    differences: tuple[str, ...]


def card(name: str, note: str, origin: Origin, deploy: Any) -> str:
    """Return the text of a net's README.md; `deploy` is its NetParameter."""
    facts = "".join(f"{key}: {value}\n" for key, value in origin.facts.items())
    differences = "".join(f"- {difference}\n" for difference in origin.differences)
    blobs, params = shapes(deploy)
    rows = "".join(f"| {row} |\n" for row in _rows(deploy, blobs))
    return (
        f"---\n{facts}---\n\n# {name}\n\n{note}\n\nDifferences:\n\n{differences}\n"
        f"{parameters(params):,} parameters with 7 classes. An image on its way (channels x height x width):\n\n"
        f"| layer | what | output |\n|---|---|---|\n{rows}"
    )


def _rows(deploy: Any, blobs: Mapping[str, Shape]) -> list[str]:
    """Return a row a blob; layers in place stand in the row of theirs."""
    making: dict[str, list[Any]] = {}
    for layer in deploy.layer:
        making.setdefault(layer.top[0], []).append(layer)
    return [
        f"{layers[0].name} | {', '.join(map(_words, layers))} | {' x '.join(map(str, blobs[blob][1:]))}"
        for blob, layers in making.items()
    ]


def _words(layer: Any) -> str:
    """Return what a layer does, such as "convolution of 7, stride 2"."""
    match layer.type:
        case "Convolution":
            p = layer.convolution_param
            return f"convolution of {p.kernel_size[0]}" + _beyond(stride=[*p.stride, 1][0], pad=[*p.pad, 0][0])
        case "Pooling":
            p = layer.pooling_param
            kind = p.DESCRIPTOR.fields_by_name["pool"].enum_type.values_by_number[p.pool].name
            return f"{kind} of {p.kernel_size}" + _beyond(stride=p.stride, pad=p.pad)
        case "LRN":
            p = layer.lrn_param
            return f"LRN over {p.local_size} channels, alpha {p.alpha:g}, beta {p.beta:g}, k {p.k:g}"
        case "InnerProduct":
            return "fully connected"
        case "Dropout":
            return f"dropout {layer.dropout_param.dropout_ratio:g}"
    return str(layer.type)


def _beyond(stride: int, pad: int) -> str:
    """Return stride and padding where there are any to speak of."""
    return (f", stride {stride}" if stride != 1 else "") + (f", pad {pad}" if pad else "")
