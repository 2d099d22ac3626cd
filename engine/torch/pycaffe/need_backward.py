"""Which layers run backward, and which of their bottoms get a gradient: the rules of Caffe's Net::Init."""

from collections.abc import Sequence
from dataclasses import dataclass

from emotiw.engine.torch.layers.layer import Layer


@dataclass
class Need:
    """What a layer's backward pass is to compute.

    Attributes
    ----------
    layer
        Whether it runs at all.
    bottoms
        Of each bottom, whether it gets a gradient.
    """

    layer: bool
    bottoms: list[bool]


def needs_of(layers: Sequence[Layer], tops: Sequence[Sequence[str]], force_backward: bool) -> list[Need]:
    """Return the need of each layer.

    Parameters
    ----------
    layers
        In order, with their learned blobs.
    tops
        The names of each layer's tops.
    force_backward
        The net's: everything is needed but labels.
    """
    needs = _from_inputs(layers, tops)
    _from_losses(layers, tops, needs)
    if force_backward:
        for layer, need in zip(layers, needs, strict=True):
            # LossLayer::AllowForceBackward
            labelled = layer.is_loss and layer.param.type != "EuclideanLoss"
            need.layer = True
            need.bottoms = [given or not (labelled and k == 1) for k, given in enumerate(need.bottoms)]
    return needs


def _from_inputs(layers: Sequence[Layer], tops: Sequence[Sequence[str]]) -> list[Need]:
    """Return as needed what learns, and all behind it."""
    needs, needed = [], set[str]()
    for layer, names in zip(layers, tops, strict=True):
        given = list(layer.param.propagate_down)
        bottoms = given or [name in needed for name in layer.param.bottom]
        learns = any(blob.requires_grad for blob in layer.blobs)
        need = Need(learns or any(name in needed for name in layer.param.bottom), bottoms)
        if need.layer:
            needed |= set(names)
        needs.append(need)
    return needs


def _from_losses(layers: Sequence[Layer], tops: Sequence[Sequence[str]], needs: Sequence[Need]) -> None:
    """Leave of that what has a part in a loss."""
    under_loss, skipped = set[str](), set[str]()
    for layer, names, need in zip(reversed(layers), reversed(tops), reversed(needs), strict=True):
        contributes = any(layer.loss_weights) or not under_loss.isdisjoint(names)
        if not contributes or (need.layer and skipped.issuperset(names)):
            need.layer, need.bottoms = False, [False] * len(need.bottoms)
        if contributes:
            under_loss |= set(layer.param.bottom)
        skipped |= {name for name, needed in zip(layer.param.bottom, need.bottoms, strict=True) if not needed}
