"""How much of a card's peak a training used."""

from collections.abc import Mapping
from math import prod

from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import committed

# TFLOPS of dense matrices by precision, for cards by torch's name of them. NVIDIA's data sheets of the H100 and H200
# Tensor Core GPUs, SXM: FP32 67; TF32 989 and BF16 1,979 "with sparsity", of which the half is dense.
_HOPPER = {"float32": 67, "tf32": 494.7, "bf16": 989.4}
PEAKS: Mapping[str, Mapping[str, float]] = {"NVIDIA H100 80GB HBM3": _HOPPER, "NVIDIA H200": _HOPPER}


def flops(name: str) -> int:
    """Return the operations that a training iteration of a net takes an image, a multiplication and an addition two.

    Of convolutions and inner products alone, forward and backward: by weights and by bottoms, but not by the image.
    """
    net = committed(name, "train_val_finetune.prototxt")
    blobs, params = shapes(net)
    passes = {
        layer.name: 2 if "data" in layer.bottom else 3  # forward, by weights, by bottoms
        for layer in net.layer
    }
    tops = {layer.name: blobs[layer.top[0]] for layer in net.layer if layer.name in params}
    return sum(2 * passes[layer] * prod(params[layer][0]) * prod(top[2:]) for layer, top in tops.items())


def share(name: str, seconds: float, card: str, precision: str) -> str:
    """Return in words how much of a card's peak is used where a training takes so many seconds an image."""
    if card not in PEAKS:
        return f"the peak of {card} is not known here"
    used, peak = flops(name) / seconds / 1e12, PEAKS[card][precision]
    return f"{used:.3g} TFLOPS, {used / peak:.0%} of the card's peak of {peak:g}"
