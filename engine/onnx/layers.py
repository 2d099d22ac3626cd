"""Caffe's layers as ONNX nodes, in the TEST phase: a rule for each type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from emotiw.prototxt.formats.blobs import Blob
from emotiw.prototxt.formats.messages import LayerParameter
from emotiw.prototxt.shapes import LayerError, Shape, sides

from .graph import Array, Value

_MAX, _AVE, _STOCHASTIC = range(3)  # PoolingParameter.PoolMethod
_PROD, _SUM, _LARGEST = range(3)  # EltwiseParameter.EltwiseOp
_ACROSS_CHANNELS = 0  # LRNParameter.NormRegion


@dataclass(frozen=True)
class Layer:
    """A layer in a graph.

    Attributes
    ----------
    param
        Its LayerParameter.
    bottoms, shapes
        Its inputs, and their shapes in Caffe.
    top
        The shape of its output; empty if there is none.
    blobs
        Its weights.
    """

    param: LayerParameter
    bottoms: Sequence[Value]
    shapes: Sequence[Shape]
    top: Shape
    blobs: Sequence[Blob]

    def then(self, operator: str, *inputs: Value, **attributes: int | float | Sequence[int]) -> Value:
        """Return the layer as one node, of its name, on the first bottom and further inputs."""
        return self.bottoms[0].then(operator, *inputs, name=self.param.name, **attributes)

    def learned(self, number: int, shape: Sequence[int] | None = None) -> Value:
        """Return a blob as a constant, in another shape if one is given."""
        blob = self.blobs[number]
        return self.constant(blob if shape is None else blob.reshape(shape), f"blob{number}")

    def constant(self, array: Array, name: str) -> Value:
        """Return a constant of this layer."""
        return self.bottoms[0].graph.constant(array, f"{self.param.name}/{name}")

    def refuse(self, why: str) -> LayerError:
        """Return the error for a layer that has no counterpart in ONNX."""
        return refused(self.param, why)


def refused(layer: LayerParameter, why: str) -> LayerError:
    """Return the error for a layer that cannot be exported."""
    words = f"layer {layer.name} of type {layer.type} cannot be exported to ONNX: {why}"
    return LayerError(layer.name, words)


def _convolution(layer: Layer) -> Value:
    p = layer.param.convolution_param
    kernel, stride, pad, dilation = (
        sides(p, name, unset) for name, unset in (("kernel", 0), ("stride", 1), ("pad", 0), ("dilation", 1))
    )
    return layer.then(
        "Conv",
        *map(layer.learned, range(len(layer.blobs))),
        kernel_shape=kernel,
        strides=stride,
        pads=[*pad, *pad],
        dilations=dilation,
        group=p.group,
    )


def _inner_product(layer: Layer) -> Value:
    p = layer.param.inner_product_param
    if p.axis not in (1, 1 - len(layer.shapes[0])):
        raise layer.refuse(f"it flattens from axis {p.axis}, not from 1")
    flat = layer.bottoms[0] if len(layer.shapes[0]) == 2 else layer.bottoms[0].then("Flatten", axis=1)
    rows = layer.blobs[0].shape[0] if p.transpose else p.num_output
    learned = [layer.learned(0, (rows, -1)), *([layer.learned(1, (-1,))] if p.bias_term else [])]
    return flat.then("Gemm", *learned, name=layer.param.name, transB=int(not p.transpose))


def _pooling(layer: Layer) -> Value:
    p = layer.param.pooling_param
    if p.pool not in (_MAX, _AVE) or len(layer.param.top) > 1:
        raise layer.refuse("it is STOCHASTIC" if p.pool == _STOCHASTIC else "it has a second top, the indices")
    operator = "MaxPool" if p.pool == _MAX else "AveragePool"
    if p.global_pooling:
        return layer.then(f"Global{operator}")
    kernel, stride, pad = (sides(p, name, unset) for name, unset in (("kernel", 0), ("stride", 1), ("pad", 0)))
    size, out = layer.shapes[0][2:], layer.top[2:]
    begins = [[place * stride[k] - pad[k] for place in range(out[k])] for k in (0, 1)]
    if any(begin[-1] >= size[k] + pad[k] for k, begin in enumerate(begins)):
        raise layer.refuse("its last window begins after the image")
    # Caffe rounds the number of windows up. ONNX's ceil_mode differs between runtimes, so the image is padded instead.
    after = [max(0, begin[-1] + kernel[k] - size[k]) for k, begin in enumerate(begins)]
    window = {"kernel_shape": kernel, "strides": stride}
    if p.pool == _MAX:
        return layer.then(operator, **window, pads=[*pad, *after])
    # Caffe divides by the part of the window within the image and its own padding. Of padded images not all runtimes
    # compute the same means, so zeros are put around the image first.
    image = layer.bottoms[0]
    if any((*pad, *after)):
        zeros = np.array([0, 0, *pad, 0, 0, *after], np.int64)
        image = image.then("Pad", image.graph.constant(zeros))
    mean = image.then(operator, name=layer.param.name, **window)
    rows, columns = ([min(at + kernel[k], size[k] + pad[k]) - at for at in begin] for k, begin in enumerate(begins))
    areas = np.outer(rows, columns)
    full = kernel[0] * kernel[1]
    if (areas == full).all():
        return mean
    return mean.then("Mul", layer.constant((full / areas).astype(np.float32), "clipped"))


def _lrn(layer: Layer) -> Value:
    p = layer.param.lrn_param
    if p.norm_region != _ACROSS_CHANNELS:
        raise layer.refuse("its norm_region is WITHIN_CHANNEL")
    return layer.then("LRN", size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)


def _relu(layer: Layer) -> Value:
    slope = layer.param.relu_param.negative_slope
    return layer.then("LeakyRelu", alpha=slope) if slope else layer.then("Relu")


def _prelu(layer: Layer) -> Value:
    channels = layer.blobs[0].size
    return layer.then("PRelu", layer.learned(0, (channels, *[1] * (len(layer.shapes[0]) - 2))))


def _power(layer: Layer) -> Value:
    """power_layer.cpp: (shift + scale x) ^ power."""
    p, value = layer.param.power_param, layer.bottoms[0]
    if p.scale != 1:
        value = value * p.scale
    if p.shift != 0:
        value = value + p.shift
    exponent = value.graph.constant(np.array(p.power, np.float32))
    return value if p.power == 1 else value.then("Pow", exponent, name=layer.param.name)


def _batch_norm(layer: Layer) -> Value:
    """batch_norm_layer.cpp: the stored mean and variance, divided by the stored factor; its epsilon."""
    p = layer.param.batch_norm_param
    if p.HasField("use_global_stats") and not p.use_global_stats:
        raise layer.refuse("it takes the statistics of each batch (use_global_stats: false)")
    mean, variance, factor = (blob.ravel() for blob in layer.blobs)
    share = 1 / factor[0] if factor[0] else 0
    same = (np.ones_like(mean), np.zeros_like(mean), mean * share, variance * share)
    names = ("scale", "shift", "mean", "variance")
    constants = (layer.constant(of.astype(np.float32), name) for of, name in zip(same, names, strict=True))
    return layer.then("BatchNormalization", *constants, epsilon=p.eps)


def _along(layer: Layer, number: int, axis: int) -> Value:
    """Return a blob that is broadcast from an axis on."""
    rank, shape = len(layer.shapes[0]), layer.blobs[number].shape
    return layer.learned(number, (*shape, *[1] * (rank - axis % rank - len(shape))))


def _scale(layer: Layer) -> Value:
    p = layer.param.scale_param
    if len(layer.bottoms) > 1:
        raise layer.refuse("its factor is a bottom, not learned")
    scaled = layer.then("Mul", _along(layer, 0, p.axis))
    return scaled.then("Add", _along(layer, 1, p.axis)) if p.bias_term else scaled


def _bias(layer: Layer) -> Value:
    if len(layer.bottoms) > 1:
        raise layer.refuse("its bias is a bottom, not learned")
    return layer.then("Add", _along(layer, 0, layer.param.bias_param.axis))


def _eltwise(layer: Layer) -> Value:
    p = layer.param.eltwise_param
    if p.operation == _LARGEST:
        return layer.then("Max", *layer.bottoms[1:])
    if p.operation == _PROD:
        return reduce(Value.__mul__, layer.bottoms)
    coefficients = list(p.coeff) or [1.0] * len(layer.bottoms)
    terms = [
        bottom if coefficient == 1 else bottom * coefficient
        for bottom, coefficient in zip(layer.bottoms, coefficients, strict=True)
    ]
    return reduce(Value.__add__, terms)


def _concat(layer: Layer) -> Value:
    return layer.then("Concat", *layer.bottoms[1:], axis=layer.param.concat_param.axis)


def _flatten(layer: Layer) -> Value:
    p, rank = layer.param.flatten_param, len(layer.shapes[0])
    if p.axis % rank != 1 or p.end_axis % rank != rank - 1:
        raise layer.refuse(f"it joins axes {p.axis} to {p.end_axis}, not 1 to the last")
    return layer.then("Flatten", axis=1)


def _softmax(layer: Layer) -> Value:
    return layer.then("Softmax", axis=layer.param.softmax_param.axis)


def _unchanged(layer: Layer) -> Value:
    return layer.bottoms[0]


def _one_node(operator: str) -> Callable[[Layer], Value]:
    """Return the rule of a layer that is one node without settings."""
    return lambda layer: layer.then(operator)


RULES: Mapping[str, Callable[[Layer], Value]] = {
    "AbsVal": _one_node("Abs"),
    "BNLL": _one_node("Softplus"),
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _unchanged,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Scale": _scale,
    "Sigmoid": _one_node("Sigmoid"),
    "Softmax": _softmax,
    "Split": _unchanged,
    "TanH": _one_node("Tanh"),
}
"""The rule of each layer type that can be exported; it returns the layer's only top, or the value of all of them."""
