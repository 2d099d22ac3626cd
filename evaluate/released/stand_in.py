"""A stand-in for a released model: the same files with the same structure, and random weights.

It is for tests and rehearsals without the authors' files. Its posteriors mean nothing. Each of its three files is
marked in its first bytes, so none can be taken for the authors', even among files of theirs.
"""

from collections.abc import Mapping
from math import prod, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.files import whole, write_text
from emotiw.prototxt.formats.blobs import Blob, old_blob_of
from emotiw.prototxt.formats.messages import NetParameter, PackedNet, V1LayerParameter, format_text, write_binary
from emotiw.prototxt.formats.upgrade import downgrade
from emotiw.prototxt.shapes import Shape, shapes
from emotiw.prototxt.surgery import committed

from .catalog import DEPLOY, MEAN, MEAN_SIDE, NET, STAND_IN, WEIGHTS, is_stand_in

_GAIN = sqrt(2 / (1 - 1 / np.pi))  # restores the standard deviation after a ReLU of a Gaussian; He's gain is sqrt(2)
_LAST_GAIN = 0.15  # gives logits for which a posterior is neither flat nor concentrated in one class
_BIAS = 0.5  # the largest bias
_KNOTS, _DARK, _BRIGHT = 5, 60, 180  # of a mean image: knots per side, and the range of their values


def write_stand_in(folder: Path, name: str, seed: int = 0) -> None:
    """Write the three files of a stand-in for the model `name` into `folder`, in Caffe's V1 format, like the authors'.

    The same name and seed give the same bytes on every machine; another name or seed gives other weights and another
    mean.
    """
    random = np.random.default_rng([seed, *name.encode()])
    net: NetParameter = committed(NET, "deploy.prototxt")
    net.name = _words(name, seed)
    v1, params = downgrade(net), shapes(net)[1]
    write_text(folder / DEPLOY, format_text(v1))
    with whole(folder / MEAN) as temporary:
        temporary.write_bytes(_mark(net.name) + old_blob_of(_mean(random)).SerializeToString())
    weights = PackedNet.FromString(v1.SerializeToString())
    for layer in weights.layers:
        layer.blobs.extend(map(old_blob_of, _layer_blobs(layer.name, params, random)))
    write_binary(folder / WEIGHTS, weights)


def calls_itself(file: Path, name: str, seed: int) -> bool:
    """Return whether a file exists and is marked as one of this stand-in's."""
    return is_stand_in(file, _words(name, seed))


def _words(name: str, seed: int) -> str:
    return f"{STAND_IN}, {name}, seed {seed}."


def _mark(words: str) -> bytes:
    """Return a field unknown to BlobProto, which every reader skips; the message has no name field for the mark."""
    return V1LayerParameter(param=[words]).SerializeToString()


def _mean(random: np.random.Generator) -> Blob:
    """Return a smooth (3, S, S) image in [60, 180]: linear between knots; binary fractions, so exact anywhere."""
    knots = random.integers(_DARK, _BRIGHT, (3, _KNOTS, _KNOTS)).astype(float)
    places = np.arange(MEAN_SIDE) * (_KNOTS - 1) / MEAN_SIDE
    hats: NDArray[np.float64] = np.maximum(0, 1 - abs(places[:, None] - np.arange(_KNOTS)))
    return np.asarray(hats @ knots @ hats.T, np.float32)


def _layer_blobs(layer: str, params: Mapping[str, list[Shape]], random: np.random.Generator) -> list[Blob]:
    """Return a layer's random weights and biases, if it has any."""
    if layer not in params:
        return []
    weight, bias = params[layer]
    gain = _LAST_GAIN if layer == [*params][-1] else _GAIN
    return [_weight(weight, gain, random), _uniform(bias, _BIAS, random)]


def _weight(shape: Shape, gain: float, random: np.random.Generator) -> Blob:
    """Return random weights with standard deviation gain / sqrt(fan-in) in which the second half negates the first.

    Each output's weights then sum to zero (except for one weight if their number is odd), so what all images have in
    common, such as their brightness, cancels; otherwise all images would get the same posterior after eight layers.
    """
    outputs, fan_in = shape[0], prod(shape[1:])
    half = fan_in // 2
    weight = np.empty((outputs, fan_in), np.float32)
    weight[:, half:] = _uniform((outputs, fan_in - half), gain * sqrt(3 / fan_in), random)
    np.negative(weight[:, half : 2 * half], out=weight[:, :half])
    return weight.reshape(shape)


def _uniform(shape: Shape, most: float, random: np.random.Generator) -> Blob:
    """Return float32 numbers in [-most, most), without sums or logarithms, so the same on every machine."""
    values = random.random(shape, np.float32)
    values -= np.float32(0.5)
    values *= np.float32(2 * most)
    return values
