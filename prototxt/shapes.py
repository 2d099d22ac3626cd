"""What shapes a net's blobs and weights have, by the rules of Caffe's own Reshape functions."""

from collections.abc import Callable, Mapping
from math import prod

from emotiw.errors import EmotiwError

from .formats.messages import LayerParameter, NetParameter

Shape = tuple[int, ...]


def shapes(net: NetParameter) -> tuple[dict[str, Shape], dict[str, list[Shape]]]:
    """Return the shapes of a net's blobs by blob name, and those of its weights and biases by layer name.

    Parameters
    ----------
    net
        A train_val or a deploy. Layers of one phase alone, the data layers but for the first apart, are left out.

    Returns
    -------
    blobs, params
        Image batches are N x C x H x W. Losses and accuracies have no axes.

    Raises
    ------
    EmotiwError
        Where a layer is of a type that no net here has, or cannot be built on what comes before it.
    """
    blobs: dict[str, Shape] = {}
    params: dict[str, list[Shape]] = {}
    for layer in net.layer:
        if layer.type not in _RULES:
            raise EmotiwError(f"layer {layer.name} is of type {layer.type}: there are {', '.join(_RULES)}")
        if layer.include and layer.include[0].phase != 0:  # TEST
            continue
        try:
            tops, learned = _RULES[layer.type](layer, [blobs[name] for name in layer.bottom])
            blobs |= dict(zip(layer.top, tops, strict=True))
        except (KeyError, IndexError, ValueError, ZeroDivisionError):
            raise EmotiwError(
                f"layer {layer.name} of type {layer.type} cannot be built: its bottoms, tops or sizes do not fit"
            ) from None
        if learned:
            params[layer.name] = learned
    return blobs, params


def parameters(params: Mapping[str, list[Shape]]) -> int:
    """Return how many numbers are learned."""
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


def _concat(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    n, _, *size = bottoms[0]
    return [(n, sum(shape[1] for shape in bottoms), *size)], []


def _convolution(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """base_conv_layer.cpp; rounded down."""
    p, (n, channels, *size) = layer.convolution_param, bottoms[0]
    kernel, stride, pad = p.kernel_size[0], [*p.stride, 1][0], [*p.pad, 0][0]
    out = [(side + 2 * pad - kernel) // stride + 1 for side in size]
    return [(n, p.num_output, *out)], [
        (p.num_output, channels, kernel, kernel),
        (p.num_output,),
    ]


def _pooling(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    """pooling_layer.cpp; rounded up, but a window must begin within the image or the padding before it."""
    p, (n, channels, *size) = layer.pooling_param, bottoms[0]
    out = [-(-(side + 2 * p.pad - p.kernel_size) // p.stride) + 1 for side in size]
    out = [o - 1 if p.pad and (o - 1) * p.stride >= side + p.pad else o for o, side in zip(out, size, strict=True)]
    return [(n, channels, *out)], []


def _inner_product(layer: LayerParameter, bottoms: list[Shape]) -> tuple[list[Shape], list[Shape]]:
    n, *rest = bottoms[0]
    num_output = layer.inner_product_param.num_output
    return [(n, num_output)], [(num_output, prod(rest)), (num_output,)]


_RULES: Mapping[str, Callable[[LayerParameter, list[Shape]], tuple[list[Shape], list[Shape]]]] = {
    "Data": _data,
    "Input": _input,
    "Convolution": _convolution,
    "Pooling": _pooling,
    "InnerProduct": _inner_product,
    "Concat": _concat,
    "ReLU": _same,
    "Dropout": _same,
    "LRN": _same,
    "Softmax": _same,
    "SoftmaxWithLoss": _scalar,
    "Accuracy": _scalar,
}
