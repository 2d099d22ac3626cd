"""`caffe.coord_map`: how the pixels of two tops of a NetSpec correspond, and crops that align them.

A map is (axis, scale, offset): a pixel at x of one blob is at scale * x + offset of the other, for each axis after
`axis`; an axis of None means every axis.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotiw.prototxt.net_spec import Function, Top
from emotiw.prototxt.net_spec import layers as L

Numbers = NDArray[Any]
Map = tuple[int | None, Numbers, Numbers]

PASS_THROUGH_LAYERS = [
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN", "MVN", "Power"),
    *("PReLU", "ReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold"),
]
"""The types whose tops have the coordinates of their bottoms."""

_IDENTITY: Map = (None, np.ones(1), np.zeros(1))
_WINDOWED = {"Convolution": "convolution_param", "Pooling": "pooling_param", "Im2col": "convolution_param"}


class UndefinedMapException(Exception):  # noqa: N818 (pycaffe's name)
    """A layer has no map of coordinates."""


class AxisMismatchException(Exception):  # noqa: N818 (pycaffe's name)
    """Two maps begin at different axes."""


def coord_map(fn: Function) -> Map:
    """Return the map from a layer's bottom to its top.

    Raises
    ------
    UndefinedMapException
        If the layer does not keep coordinates.
    """
    if fn.type_name in _WINDOWED:
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, np.ones(1), -offset  # the axis before the first that is cropped
    if fn.type_name in PASS_THROUGH_LAYERS:
        return _IDENTITY
    raise UndefinedMapException(f"a layer of type {fn.type_name} has no map of coordinates")


def conv_params(fn: Function) -> tuple[int, Numbers, Numbers, Numbers]:
    """Return axis, stride, kernel size with its dilation, and padding of a convolution or pooling."""
    given = _own(fn, _WINDOWED.get(fn.type_name, "convolution_param"))
    old = sorted(name for name in given if name.endswith(("_h", "_w")))
    _require(not old, f"a {fn.type_name} with {' and '.join(old)} has no map: name kernel_size, stride and pad")
    _require("kernel_size" in given, f"a {fn.type_name} without kernel_size has no map")
    dilation, kernel = (_numbers(given.get(name, 1)) for name in ("dilation", "kernel_size"))
    stride, pad = _numbers(given.get("stride", 1)), _numbers(given.get("pad", 0))
    return int(given.get("axis", 1)), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, Numbers]:
    """Return the first axis that a Crop cuts, and its offsets."""
    given = _own(fn, "crop_param")
    return int(given.get("axis", 2)), _numbers(given.get("offset", 0))


def compose(base_map: Map, next_map: Map) -> Map:
    """Return the map that applies `next_map`, then `base_map`.

    Raises
    ------
    AxisMismatchException
        If they begin at different axes.
    """
    (first, scale, offset), (second, inner, inner_offset) = base_map, next_map
    if None not in (first, second) and first != second:
        raise AxisMismatchException(f"one map begins at axis {first}, the other at axis {second}")
    return second if first is None else first, scale * inner, scale * inner_offset + offset


def inverse(coord_map: Map) -> Map:
    """Return the map back."""
    axis, scale, offset = coord_map
    return axis, 1 / scale, -offset / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """Return the map from one top to another, by way of the nearest top from which both are computed.

    Raises
    ------
    RuntimeError
        If no top leads to both by layers that keep coordinates.
    """
    ours, theirs = _ancestors(top_from), _ancestors(top_to)
    for top, down in ours.items():
        if top in theirs:
            return compose(theirs[top], inverse(down))
    raise RuntimeError("no map between these tops: no layers that keep coordinates connect them")


def crop(top_from: Top, top_to: Top) -> Any:  # a Top, as every layer of `layers`
    """Return a Crop of one top, aligned with another one and of its size.

    Raises
    ------
    AssertionError
        If they differ in scale, or the offset is negative or no whole number of pixels.
    """
    axis, scale, offset = coord_map_from_to(top_from, top_to)
    _require(bool((scale == 1).all()), f"scale mismatch on crop: {scale} pixels of one are a pixel of the other")
    _require(bool((offset <= 0).all()), f"cannot crop by a negative offset: {-offset}")
    _require(bool((np.round(offset) == offset).all()), f"cannot crop by parts of a pixel: {-offset}")
    first = 2 if axis is None else axis + 1
    return L.Crop(top_from, top_to, crop_param={"axis": first, "offset": list(map(int, -np.round(offset)))})


def _ancestors(top: Top) -> dict[Top, Map]:
    """Return the map to `top` from each top that it is computed from by layers that keep coordinates, nearest first."""
    found, waiting = {top: _IDENTITY}, [top]
    while waiting:
        one = waiting.pop(0)
        # A Crop's second bottom gives a size, no coordinates.
        bottoms = one.fn.inputs[:1] if one.fn.type_name == "Crop" else one.fn.inputs
        for bottom in bottoms:
            if bottom not in found:
                try:
                    found[bottom] = compose(found[one], coord_map(one.fn))
                except UndefinedMapException:
                    break
                waiting.append(bottom)
    return found


def _own(fn: Function, param: str) -> Mapping[str, Any]:
    """Return the settings of a layer's own message, however they were given."""
    inner = fn.params.get(param, fn.params)
    return inner if isinstance(inner, Mapping) else {}


def _numbers(given: Any) -> Numbers:
    return np.array(given, float, ndmin=1)


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise AssertionError(words)  # pycaffe's own error here
