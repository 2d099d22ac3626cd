"""Read and write caffemodels: Caffe's Net::CopyTrainedLayersFrom and Net::ToProto."""

from pathlib import Path

import torch

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import array_of, blob_of
from emotiw.prototxt.formats.messages import NetParameter, PackedNet, read_binary, write_binary
from emotiw.prototxt.formats.upgrade import weighted
from emotiw.prototxt.weight_transfer import compare

from .net import Net


def copy_from(net: Net, path: Path) -> None:
    """Copy the weights of a caffemodel into a net, by layer name.

    Parameters
    ----------
    net
        Layers that are not in the caffemodel keep their values.
    path
        A caffemodel of V1 layers or of current ones.

    Raises
    ------
    EmotiwError
        If the file is missing or not a caffemodel, or a layer's blobs have another shape; the net is then unchanged.
    """
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    source = read_binary(path, PackedNet)
    layers = {layer.param.name: layer for layer in net.layers if layer.shapes}
    copy = compare(source, {name: layer.shapes for name, layer in layers.items()})
    if copy.misfits:
        layer, words = next(iter(copy.misfits.items()))
        raise EmotiwError(f"{path}: layer {layer!r} does not fit: {words}; rename the layer to train it from scratch")
    found = weighted(source)
    arrays = {name: [array_of(blob, f"{path}: {name}") for blob in found[name]] for name in copy.copied}
    with torch.no_grad():
        for name, blobs in arrays.items():
            for blob, array in zip(layers[name].blobs, blobs, strict=True):
                blob.copy_(torch.from_numpy(array).reshape(blob.shape))


def share_weights(net: Net, source: Net) -> None:
    """Share the learned blobs of another net's layers of the same names: Caffe's ShareTrainedLayersWith."""
    layers = {layer.param.name: layer for layer in source.layers if layer.shapes}
    shared = {}
    for layer in net.layers:
        given = layers.get(layer.param.name)
        if given is None or not layer.shapes:
            continue
        if given.shapes != layer.shapes:
            raise EmotiwError(f"layer {layer.param.name!r} learns {given.shapes} in one net, {layer.shapes} in another")
        for k, blob in enumerate(given.blobs):
            shared[id(layer.blobs[k])] = blob
            layer.blobs[k] = blob
    for one in net.learnable:
        one.blob = shared.get(id(one.blob), one.blob)


def to_proto(net: Net) -> NetParameter:
    """Return a net with its weights as a NetParameter, in the current format."""
    proto = NetParameter(name=net.graph.name)
    for layer in net.layers:
        added = proto.layer.add()
        added.CopyFrom(layer.param)
        added.ClearField("blobs")
        for blob, shape in zip(layer.blobs, layer.shapes, strict=True):
            added.blobs.append(blob_of(blob.detach().cpu().reshape(shape).numpy()))
    return proto


def write_weights(path: Path, net: Net) -> None:
    """Write a net as a caffemodel; the file is complete or absent."""
    write_binary(path, to_proto(net))
