"""The share of a GPU's peak performance that a training used."""

from collections.abc import Mapping
from math import prod

from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import committed

# TFLOPS of dense matrices by precision, for cards by their names in torch. NVIDIA's data sheets of the H100 and H200
# Tensor Core GPUs, SXM: FP32 67; TF32 989 and BF16 1,979 "with sparsity", half of which is dense.
_HOPPER = {"float32": 67, "tf32": 494.7, "bf16": 989.4}
PEAKS: Mapping[str, Mapping[str, float]] = {"NVIDIA H100 80GB HBM3": _HOPPER, "NVIDIA H200": _HOPPER}


def flops(name: str) -> int:
    """Return the operations per image of a net's training iteration; a multiplication and an addition count as two.

    Only convolutions and inner products count, forward and backward: with respect to weights and bottoms, but not to
    the image.
    """
    net = committed(name, "train_val_finetune.prototxt")
    blobs, params = shapes(net)
    passes = {
        layer.name: 2 if "data" in layer.bottom else 3  # forward, weights, bottoms
        for layer in net.layer
    }
    tops = {layer.name: blobs[layer.top[0]] for layer in net.layer if layer.name in params}
    return sum(2 * passes[layer] * prod(params[layer][0]) * prod(top[2:]) for layer, top in tops.items())


def share(name: str, seconds: float, card: str, precision: str) -> str:
    """Return the share of a card's peak, as text, for a training that takes `seconds` per image."""
    if card not in PEAKS:
        return f"the peak of {card} is not known here"
    used, peak = flops(name) / seconds / 1e12, PEAKS[card][precision]
    return f"{used:.3g} TFLOPS, {used / peak:.0%} of the card's peak of {peak:g}"
