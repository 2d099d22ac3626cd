"""Initial weights: the rules of Caffe's filler.hpp, drawn by torch."""

from collections.abc import Callable, Mapping
from math import ceil, prod, sqrt

import torch
from torch import Generator, Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter

Shape = tuple[int, ...]


def fill(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    """Return a float32 tensor on the CPU, filled as a FillerParameter says.

    Raises
    ------
    EmotiwError
        If Caffe has no such filler, or not for this shape.
    """
    if filler.type not in FILLERS:
        raise EmotiwError(f"no filler {filler.type!r}: there are {', '.join(FILLERS)}")
    if filler.sparse != -1 and filler.type != "gaussian":
        raise EmotiwError(f"filler {filler.type!r} cannot be sparse: only gaussian can")
    # Caffe counts a scalar's first axis as 1.
    return FILLERS[filler.type](filler, shape or (1,), generator).reshape(shape)


def _constant(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    return torch.full(shape, filler.value)


def _uniform(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    return torch.empty(shape).uniform_(filler.min, filler.max, generator=generator)


def _gaussian(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    """Draw from N(mean, std); `sparse` is the mean number of an output's inputs that are not zero."""
    values = torch.empty(shape).normal_(filler.mean, filler.std, generator=generator)
    if filler.sparse >= 0:
        values *= torch.empty(shape).bernoulli_(filler.sparse / shape[0], generator=generator)
    return values


def _positive_unitball(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    """Uniform in [0, 1), then each output's weights divided by their sum."""
    rows = torch.empty(shape[0], prod(shape[1:])).uniform_(0, 1, generator=generator)
    return (rows / rows.sum(dim=1, keepdim=True)).reshape(shape)


def _xavier(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    bound = sqrt(3 / _fan(filler, shape))
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _msra(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    return torch.empty(shape).normal_(0, sqrt(2 / _fan(filler, shape)), generator=generator)


def _bilinear(filler: FillerParameter, shape: Shape, generator: Generator) -> Tensor:
    """Return the weights of a deconvolution that upsamples bilinearly."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise EmotiwError(f"filler 'bilinear' needs a square kernel of four axes, not {shape}")
    factor = ceil(shape[3] / 2)
    centre = (shape[3] - 1) / (2 * factor)
    ramp = 1 - (torch.arange(shape[3]) / factor - centre).abs()
    return torch.outer(ramp, ramp).expand(shape).clone()


def _fan(filler: FillerParameter, shape: Shape) -> float:
    """Return n of `variance_norm`: FAN_IN, FAN_OUT or AVERAGE."""
    fan_in = prod(shape) // shape[0]
    fan_out = prod(shape) // shape[1] if len(shape) > 1 else prod(shape)
    return (fan_in, fan_out, (fan_in + fan_out) / 2)[filler.variance_norm]


FILLERS: Mapping[str, Callable[[FillerParameter, Shape, Generator], Tensor]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
