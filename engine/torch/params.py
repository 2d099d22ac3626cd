"""The learned blobs of a net, their multipliers, and sharing by name: Caffe's Net::AppendParam."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Generator, Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import ParamSpec

from .fillers import fill
from .layers.layer import Layer, Shape

_MULTIPLIERS = ("lr_mult", "decay_mult")
_PERMISSIVE = 1
_INT_MAX = 2**31 - 1


@dataclass
class Learnable:
    """A learned blob.

    Attributes
    ----------
    blob
        Its values and, after a backward pass, its gradient in `blob.grad`.
    spec
        Its ParamSpec: name, lr_mult, decay_mult; of a shared blob, whatever any of its layers sets.
    owner
        Its blob number and layer, for errors.
    """

    blob: torch.nn.Parameter
    spec: ParamSpec
    owner: str

    @property
    def lr_mult(self) -> float:
        """Return the multiplier of its learning rate."""
        return self.spec.lr_mult

    @property
    def decay_mult(self) -> float:
        """Return the multiplier of its weight decay."""
        return self.spec.decay_mult


class Params:
    """The learned blobs of a net while it is built.

    Attributes
    ----------
    learnable
        Each blob once, in the order of their first layers.
    """

    def __init__(
        self, device: torch.device, layout: torch.memory_format, generator: Generator, always: bool = False
    ) -> None:
        self._device, self._layout, self._generator, self._always = device, layout, generator, always
        self._named: dict[str, Learnable] = {}
        self.learnable: list[Learnable] = []

    def add(self, layer: Layer, bottoms: Sequence[Shape]) -> None:
        """Give a layer its blobs: newly filled ones, or those of an earlier layer with the same param name."""
        learned, specs = layer.learned(bottoms), list(layer.param.param)
        if len(specs) > len(learned):
            raise EmotiwError(f"{len(specs)} params for {len(learned)} learned blobs")
        layer.shapes = [each.shape for each in learned]
        specs += [ParamSpec()] * (len(learned) - len(specs))
        for k, (each, spec) in enumerate(zip(learned, specs, strict=True)):
            if spec.name not in self._named:
                shape_count(each.shape)
                filled = fill(each.filler, each.shape, self._generator).to(self._device)
                blob = torch.nn.Parameter(laid(filled, self._layout))
                self._own(Learnable(blob, spec, f"blob {k} of layer {layer.param.name!r}"))
            else:
                self._share(layer, each.shape, spec)
            owner = self._named[spec.name] if spec.name else self.learnable[-1]
            # As in Caffe, no gradient is computed for an lr_mult of zero.
            owner.blob.requires_grad_(self._always or owner.lr_mult != 0)
            layer.blobs.append(owner.blob)

    def _own(self, learnable: Learnable) -> None:
        self.learnable.append(learnable)
        if learnable.spec.name:
            self._named[learnable.spec.name] = learnable

    def _share(self, layer: Layer, shape: Shape, spec: ParamSpec) -> None:
        """Check a shared blob's shape and multipliers against its owner's; add new multipliers to the owner."""
        owner = self._named[spec.name]
        fits = owner.blob.numel() == shape_count(shape) if spec.share_mode == _PERMISSIVE else owner.blob.shape == shape
        if not fits:
            raise EmotiwError(f"param {spec.name!r} is {shape} here, {tuple(owner.blob.shape)} in {owner.owner}")
        for field in _MULTIPLIERS:
            if not spec.HasField(field):
                continue
            if owner.spec.HasField(field) and getattr(owner.spec, field) != getattr(spec, field):
                raise EmotiwError(f"param {spec.name!r} has another {field} than {owner.owner}")
            setattr(owner.spec, field, getattr(spec, field))


def shape_count(shape: Shape) -> int:
    """Return the size of a blob of this shape; refuse what Caffe's Blob::Reshape refuses."""
    count = prod(shape)
    if min(shape, default=0) < 0 or count > _INT_MAX:
        raise EmotiwError(f"a blob of {' x '.join(map(str, shape))}: Caffe's hold 0 to {_INT_MAX} numbers")
    return count


def laid(blob: Tensor, layout: torch.memory_format) -> Tensor:
    """Return a blob, in memory format `layout` if it has four axes; the same blob if it already is."""
    return blob.contiguous(memory_format=layout) if blob.dim() == 4 else blob
