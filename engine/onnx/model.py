"""A deploy net with its preprocessing as one ONNX model: from uint8 RGB to posteriors."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from emotiw.engine.preprocessing import crop_places
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import Blob
from emotiw.prototxt.formats.messages import NetParameter
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import trains_only

from .graph import Graph, Value
from .layers import RULES, Layer, refused
from .mapping import CodeMapping
from .resize import resized

OUTPUT = "prob"
"""The name of the posteriors: Caffe's blob."""


@dataclass(frozen=True)
class ImageInput:
    """What a graph takes, and what it does before the net.

    Attributes
    ----------
    name
        Of the graph's input.
    size
        Side of the image from which the crop is cut, in pixels.
    mean : (3, crop, crop) float32
        Subtracted from the centre crop: B, G, R.
    scale
        The factor of the differences.
    face
        Whether the input is a face of any size, resized in the graph.
    mapping
        How a face is mapped before it is resized; None: not in the graph.
    """

    name: str
    size: int
    mean: Blob
    scale: float = 1
    face: bool = False
    mapping: CodeMapping | None = None

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The shape of the graph's input; names stand for what may vary."""
        return ("H", "W", 3) if self.face else ("N", self.size, self.size, 3)

    def net_input(self, image: Value) -> Value:
        """Return the net's input, N x 3 x crop x crop float32, of the graph's, uint8 RGB."""
        if self.face:
            mapped = self.mapping.mapped(image) if self.mapping else image
            batch = image.graph.constant(np.array([0], np.int64))
            planes = resized(mapped.cast(np.float32), self.size).then("Unsqueeze", batch)
        else:
            planes = image.then("Transpose", perm=[0, 3, 1, 2]).cast(np.float32)
        return self._prepared(planes)

    def _prepared(self, planes: Value) -> Value:
        """Cut the centre crop, swap R and B, subtract the mean, scale: as in `preprocessing.net_inputs`."""
        crop = self.mean.shape[-1]
        ((top, left, _),) = crop_places((self.size, self.size), (crop, crop), 1)
        cropped = planes.cut([2, 3], [top, left], [top + crop, left + crop]) if crop < self.size else planes
        channels = planes.graph.constant(np.array([2, 1, 0], np.int64))
        bgr = cropped.then("Gather", channels, axis=1)
        value = bgr.then("Sub", planes.graph.constant(self.mean[None], "mean"), name="data")
        return value if self.scale == 1 else value * self.scale


def model_of(
    net: NetParameter, weights: MutableMapping[str, list[Blob]], image: ImageInput, facts: Mapping[str, str], title: str
) -> ModelProto:
    """Return a net as an ONNX model; the same arguments give the same bytes.

    Parameters
    ----------
    net
        A deploy net in the current format, with one input and a blob `prob`.
    weights
        The blobs of each layer that has any. Each layer's are removed once they are in the model, so that memory holds
        them once.
    image
        The graph's input and its preprocessing.
    facts
        The model's metadata.
    title
        The model's description.

    Raises
    ------
    LayerError
        If a layer cannot be exported; the message names it.
    EmotiwError
        If the net has no posteriors.
    """
    graph = Graph()
    given = graph.input(image.name, np.uint8, image.shape)
    found = _through(net, weights, image.net_input(given))
    if OUTPUT not in found:
        raise EmotiwError(f"{net.name or 'the net'} has no blob {OUTPUT}: it is not a deploy net with posteriors")
    posteriors = found[OUTPUT] if found[OUTPUT].name == OUTPUT else found[OUTPUT].then("Identity", name=OUTPUT)
    graph.output(posteriors, (1 if image.face else image.shape[0], *shapes(net)[0][OUTPUT][1:]))
    graph.model.graph.name, graph.model.doc_string = net.name or "net", title
    for key, value in facts.items():
        graph.model.metadata_props.add(key=key, value=value)
    return graph.model


def _through(net: NetParameter, weights: MutableMapping[str, list[Blob]], data: Value) -> dict[str, Value]:
    """Add the layers of a net; return the values of its blobs by name."""
    layers = [layer for layer in net.layer if not trains_only(layer)]
    for layer in layers:
        if layer.type not in RULES and layer.type != "Input":
            raise refused(layer, f"there are {', '.join(RULES)}")
    sizes, learned = shapes(net)
    values: dict[str, Value] = {}
    for layer in layers:
        if layer.type == "Input":
            values[layer.top[0]] = data
            continue
        blobs = [
            blob.reshape(shape)
            for blob, shape in zip(weights.pop(layer.name, []), learned.get(layer.name, []), strict=True)
        ]
        bottoms = [values[name] for name in layer.bottom]
        here = Layer(layer, bottoms, [sizes[name] for name in layer.bottom], sizes[layer.top[0]], blobs)
        values |= dict.fromkeys(layer.top, RULES[layer.type](here))
    return values
