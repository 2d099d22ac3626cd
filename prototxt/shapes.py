"""The shapes of a net's blobs and weights, by the rules of Caffe's Reshape functions."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

from emotiw.errors import EmotiwError

from .formats.layer_parameters import ConvolutionParameter, PoolingParameter, SPPParameter
from .formats.messages import TEST, LayerParameter, NetParameter

Shape = tuple[int, ...]


class LayerError(EmotiwError):
    """A layer of a net, `layer` by name, cannot be built."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(message)
        self.layer = layer


def shapes(net: NetParameter) -> tuple[dict[str, Shape], dict[str, list[Shape]]]:
    """Return the shapes of a net's blobs by blob name, and those of its weights and biases by layer name.

    Parameters
    ----------
    net
        A train_val or a deploy. Layers of a single phase are left out, except the first data layer.

    Returns
    -------
    blobs, params
        Image batches are N x C x H x W. Losses and accuracies have no axes.

    Raises
    ------
    LayerError
        If a layer's type is unknown here, it cannot be built on the layers before it, or its weights have the name of
        an earlier layer's.
    """
    blobs: dict[str, Shape] = {}
    params: dict[str, list[Shape]] = {}
    for layer in net.layer:
        if layer.type not in _RULES:
            raise LayerError(layer.name, f"layer {layer.name} is of type {layer.type}: there are {', '.join(_RULES)}")
        if layer.include and layer.include[0].phase == TEST:
            continue
        try:
            tops, learned = _RULES[layer.type](layer, [blobs[name] for name in layer.bottom])
            blobs |= dict(zip(layer.top, tops, strict=True))
        except (KeyError, IndexError, ValueError, ZeroDivisionError):
            words = f"layer {layer.name} of type {layer.type} cannot be built: its bottoms, tops or sizes do not fit"
            raise LayerError(layer.name, words) from None
        if learned and layer.name in params:  # Caffe copies weights by name
            raise LayerError(layer.name, f"layer {layer.name}: an earlier layer with weights has the same name")
        if learned:
            params[layer.name] = learned
    return blobs, params


def parameters(params: Mapping[str, list[Shape]]) -> int:
    """Return the number of learned parameters."""
    return sum(prod(shape) for learned in params.values() for shape in learned)


def _input(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    return [tuple(shape.dim) for shape in layer.input_param.shape], []


def _data(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    batch, crop = layer.data_param.batch_size, layer.transform_param.crop_size
    return [(batch, 3, crop, crop), (batch,)], []


def _same(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    return bottoms[:1], []


def _scalar(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    return [()], []


def _nothing(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    return [], []


def _split(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    return bottoms * len(layer.top), []


def _concat(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    axis, first = layer.concat_param.axis % len(bottoms[0]), bottoms[0]
    return [(*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :])], []


def _flatten(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    p, shape = layer.flatten_param, bottoms[0]
    first, last = p.axis % len(shape), p.end_axis % len(shape)
    return [(*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])], []


def _crop(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    shape, like = bottoms
    axis = layer.crop_param.axis % len(shape)
    return [(*shape[:axis], *like[axis:])], []


def _tile(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    p, shape = layer.tile_param, bottoms[0]
    axis = p.axis % len(shape)
    return [(*shape[:axis], shape[axis] * p.tiles, *shape[axis + 1 :])], []


def _reduction(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    shape = bottoms[0]
    return [shape[: layer.reduction_param.axis % len(shape)]], []


def _batch_norm(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """batch_norm_layer.cpp: mean, variance, and the factor by which both are divided."""
    channels = bottoms[0][1]
    return bottoms[:1], [(channels,), (channels,), (1,)]


def _scale(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """scale_layer.cpp; with two bottoms the second one is the factor."""
    p, shape = layer.scale_param, bottoms[0]
    first = p.axis % len(shape)
    factor = (
        bottoms[1] if len(bottoms) > 1 else shape[first:] if p.num_axes == -1 else shape[first : first + p.num_axes]
    )
    return [shape], [factor] * ((len(bottoms) == 1) + p.bias_term)


def _bias(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """bias_layer.cpp; with two bottoms the second one is the bias."""
    p, shape = layer.bias_param, bottoms[0]
    first = p.axis % len(shape)
    term = shape[first:] if p.num_axes == -1 else shape[first : first + p.num_axes]
    return [shape], [term] if len(bottoms) == 1 else []


def _prelu(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    return bottoms[:1], [() if layer.prelu_param.channel_shared else (bottoms[0][1],)]


_WINDOW = (("kernel", 0), ("stride", 1), ("pad", 0))  # with Caffe's defaults


def sides(p: ConvolutionParameter | PoolingParameter, name: str, unasked: int) -> tuple[int, int]:
    """Return a setting for height and width: given for each, for both at once, or not at all."""
    if name != "dilation" and (p.HasField(f"{name}_h") or p.HasField(f"{name}_w")):
        return getattr(p, f"{name}_h"), getattr(p, f"{name}_w")
    key = "kernel_size" if name == "kernel" else name
    both = getattr(p, key)
    given = [both if p.HasField(key) else unasked] if isinstance(both, int) else [*both] or [unasked]
    return given[0], given[-1]


def _at_least_one(sides: Sequence[int]) -> Sequence[int]:
    if min(sides) < 1:
        raise ValueError("a side without a pixel")
    return sides


def _convolution(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """base_conv_layer.cpp; rounded down."""
    p, (n, channels, *size) = layer.convolution_param, bottoms[0]
    kernel, stride, pad, dilation = (sides(p, name, unasked) for name, unasked in (*_WINDOW, ("dilation", 1)))
    reach = [dilation[k] * (kernel[k] - 1) + 1 for k in (0, 1)]
    out = [(size[k] + 2 * pad[k] - reach[k]) // stride[k] + 1 for k in (0, 1)]
    filters: Shape = (p.num_output, channels // p.group, *kernel)
    if layer.type == "Deconvolution":
        out = [stride[k] * (size[k] - 1) + reach[k] - 2 * pad[k] for k in (0, 1)]
        filters = (channels, p.num_output // p.group, *kernel)
    _at_least_one([*kernel, *out])
    return [(n, p.num_output, *out)], [filters, (p.num_output,)][: 1 + p.bias_term]


def _pooling(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """pooling_layer.cpp; rounded up, but a window must begin within the image or the padding before it."""
    p, (n, channels, *size) = layer.pooling_param, bottoms[0]
    if p.global_pooling:
        return [(n, channels, 1, 1)], []
    kernel, stride, pad = (sides(p, name, unasked) for name, unasked in _WINDOW)
    _at_least_one([kernel[k] - pad[k] for k in (0, 1)])
    down = p.round_mode == 1
    out = []
    for k in (0, 1):
        room = size[k] + 2 * pad[k] - kernel[k]
        side = (room // stride[k] if down else -(-room // stride[k])) + 1
        out.append(side - 1 if pad[k] and (side - 1) * stride[k] >= size[k] + pad[k] else side)
    return [(n, channels, *_at_least_one(out))], []


def pyramid(p: SPPParameter, size: Sequence[int]) -> list[PoolingParameter]:
    """Return the pooling of each level of an SPP, for an image of height and width `size`: spp_layer.cpp."""
    levels = []
    for windows in (2**level for level in range(p.pyramid_height)):
        geometry: dict[str, int] = {}
        for axis, side in zip("hw", size, strict=True):
            kernel = -(-side // windows)
            pad = (kernel * windows - side + 1) // 2
            geometry |= {f"kernel_{axis}": kernel, f"stride_{axis}": kernel, f"pad_{axis}": pad}
        levels.append(PoolingParameter(pool=p.pool, **geometry))
    return levels


def _spp(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    levels = pyramid(layer.spp_param, bottoms[0][2:])
    pooled = [_pooling(LayerParameter(pooling_param=level), bottoms)[0][0] for level in levels]
    return [pooled[0] if len(pooled) == 1 else (bottoms[0][0], sum(prod(shape[1:]) for shape in pooled))], []


def _inner_product(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    p, shape = layer.inner_product_param, bottoms[0]
    axis = p.axis % len(shape)
    inputs = prod(shape[axis:])
    weights = (inputs, p.num_output) if p.transpose else (p.num_output, inputs)
    return [(*shape[:axis], p.num_output)], [weights, (p.num_output,)][: 1 + p.bias_term]


_RULES: Mapping[str, Callable[[LayerParameter, list[Shape]], tuple[list[Shape], list[Shape]]]] = {
    "Data": _data,
    "Input": _input,
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "PReLU": _prelu,
    "Reduction": _reduction,
    "Scale": _scale,
    "Silence": _nothing,
    "Split": _split,
    "SPP": _spp,
    "Tile": _tile,
    **dict.fromkeys(("AbsVal", "BNLL", "Dropout", "ELU", "Eltwise", "Exp", "Log", "LRN", "MVN", "Power"), _same),
    **dict.fromkeys(("ReLU", "Sigmoid", "Softmax", "TanH", "Threshold"), _same),
    **dict.fromkeys(("Accuracy", "ContrastiveLoss", "EuclideanLoss", "HingeLoss"), _scalar),
    **dict.fromkeys(("SigmoidCrossEntropyLoss", "SoftmaxWithLoss"), _scalar),
}

LAYER_TYPES = frozenset(_RULES)
"""The rules by layer type."""
