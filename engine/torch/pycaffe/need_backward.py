"""The layers that run backward, and the bottoms that get a gradient: the rules of Caffe's Net::Init."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotiw.engine.torch.layers.layer import Layer

# The bottom with labels, where it is not the second one: LossLayer::AllowForceBackward.
_LABELS: Mapping[str, int | None] = {"ContrastiveLoss": 2, "EuclideanLoss": None}


@dataclass
class Need:
    """What a layer's backward pass must compute.

    Attributes
    ----------
    layer
        Whether the layer runs backward.
    bottoms
        Whether each bottom gets a gradient.
    """

    layer: bool
    bottoms: list[bool]


def needs_of(layers: Sequence[Layer], tops: Sequence[Sequence[str]], force_backward: bool) -> list[Need]:
    """Return the `Need` of each layer.

    Parameters
    ----------
    layers
        In order, with their learned blobs.
    tops
        The names of each layer's tops.
    force_backward
        The net's setting: everything but labels gets a gradient.
    """
    needs = _from_inputs(layers, tops)
    _from_losses(layers, tops, needs)
    if force_backward:
        for layer, need in zip(layers, needs, strict=True):
            labels = _LABELS.get(layer.param.type, 1) if layer.is_loss else None
            need.layer = True
            need.bottoms = [given or k != labels for k, given in enumerate(need.bottoms)]
    return needs


def _from_inputs(layers: Sequence[Layer], tops: Sequence[Sequence[str]]) -> list[Need]:
    """Mark learnable layers and everything downstream."""
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
    """Unmark what no loss depends on."""
    under_loss, skipped = set[str](), set[str]()
    for layer, names, need in zip(reversed(layers), reversed(tops), reversed(needs), strict=True):
        contributes = any(layer.loss_weights) or not under_loss.isdisjoint(names)
        if not contributes or (need.layer and skipped.issuperset(names)):
            need.layer, need.bottoms = False, [False] * len(need.bottoms)
        if contributes:
            under_loss |= set(layer.param.bottom)
        skipped |= {name for name, needed in zip(layer.param.bottom, need.bottoms, strict=True) if not needed}
