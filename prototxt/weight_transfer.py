"""Predict which layers Caffe's copy of weights by layer name will fill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .formats.blobs import shape_of
from .formats.messages import AnyBlob, AnyNet
from .formats.upgrade import stored
from .shapes import Shape


@dataclass(frozen=True)
class Copy:
    """The layers of a caffemodel compared with those of a net, each in its own order.

    Attributes
    ----------
    copied
        Layers that take their weights from the caffemodel.
    new
        Layers only in the net: they keep their fillers' values.
    left
        Layers only in the caffemodel: Caffe skips them.
    misfits
        Layers in both with blobs of different shapes, with the difference as text: Caffe aborts there.
    """

    copied: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]
    misfits: Mapping[str, str]

    def lines(self) -> list[str]:
        """Return the report: the number of copied layers, and a line for each other layer."""
        return [
            f"weights: {len(self.copied)} of the net's {len(self.copied + self.new) + len(self.misfits)} layers copied",
            *(f"  {layer}: not in the weights, starts from its filler" for layer in self.new),
            *(f"  {layer}: not in the net, ignored" for layer in self.left),
            *(f"  {layer}: {words}" for layer, words in self.misfits.items()),
        ]


def compare(weights: AnyNet, params: Mapping[str, list[Shape]]) -> Copy:
    """Return what happens to each layer when Caffe copies `weights` into a net.

    Parameters
    ----------
    weights
        A parsed caffemodel, of V1 layers (the authors') or of current ones.
    params
        Shapes of the net's weights and biases by layer name, as `shapes.shapes` gives them; an empty list for a layer
        that learns nothing, which then must have no blobs in the weights either.
    """
    found = stored(weights)
    both = [layer for layer in params if layer in found and (found[layer] or params[layer])]
    misfits = {layer: words for layer in both if (words := _misfit(found[layer], params[layer]))}
    return Copy(
        copied=tuple(layer for layer in both if layer not in misfits),
        new=tuple(layer for layer in params if params[layer] and layer not in found),
        left=tuple(layer for layer in found if found[layer] and layer not in params),
        misfits=misfits,
    )


def _misfit(blobs: Sequence[AnyBlob], wanted: list[Shape]) -> str:
    """Return how a layer's blobs differ from the net's; empty if they fit."""
    if len(blobs) == len(wanted) and all(map(_fits, blobs, wanted)):
        return ""
    return f"{_words([shape_of(blob) for blob in blobs])} in the weights, {_words(wanted)} in the net"


def _fits(blob: AnyBlob, wanted: Shape) -> bool:
    """Return whether a blob can be copied, by Caffe's Blob::ShapeEquals; old shapes may have leading axes of 1."""
    if blob.HasField("shape"):
        return shape_of(blob) == wanted
    return (1,) * (4 - len(wanted)) + wanted == shape_of(blob)


def _words(shapes: list[Shape]) -> str:
    return " + ".join("x".join(map(str, shape)) for shape in shapes) or "no blobs"
