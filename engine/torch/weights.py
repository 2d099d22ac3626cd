"""Read and write caffemodels: Caffe's Net::CopyTrainedLayersFrom and Net::ToProto."""

from pathlib import Path

import torch
from torch.nn import Parameter

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import array_of, blob_of
from emotiw.prototxt.formats.hdf5 import is_hdf5
from emotiw.prototxt.formats.messages import NetParameter, PackedNet, read_binary, write_binary
from emotiw.prototxt.formats.upgrade import weighted
from emotiw.prototxt.weight_transfer import compare

from .hdf5 import copy_from_hdf5, write_hdf5
from .net import Net


def copy_from(net: Net, path: Path) -> None:
    """Copy the weights of a caffemodel or HDF5 file into a net, by layer name.

    Parameters
    ----------
    net
        Layers that are not in the file keep their values.
    path
        A caffemodel in any of Caffe's formats, or HDF5.

    Raises
    ------
    EmotiwError
        If the file is missing or holds no weights, or a layer's blobs have another number or shape; the net is then
        unchanged.
    """
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    if is_hdf5(path):
        copy_from_hdf5(net, path)
        return
    source = read_binary(path, PackedNet)
    layers = {layer.param.name: layer for layer in net.layers}
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
    """Share the weights, but not their gradients, of another net's layers of the same names.

    This is Caffe's ShareTrainedLayersWith.

    Raises
    ------
    EmotiwError
        If a layer learns other shapes in the other net; nothing is shared then.
    """
    for blob, shared in common_weights(net, source):
        blob.data = shared.data.view(blob.shape)


def common_weights(net: Net, source: Net) -> list[tuple[Parameter, Parameter]]:
    """Return the learned blobs of layers of the same names in two nets; see `share_weights`."""
    layers = {layer.param.name: layer for layer in source.layers if layer.shapes}
    found: list[tuple[Parameter, Parameter]] = []
    for layer in net.layers:
        given = layers.get(layer.param.name)
        if given is None or not layer.shapes:
            continue
        if given.shapes != layer.shapes:
            raise EmotiwError(f"layer {layer.param.name!r} learns {given.shapes} in one net, {layer.shapes} in another")
        found += zip(layer.blobs, given.blobs, strict=True)
    return found


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
    """Write a net as a caffemodel, or as HDF5 if its name ends in .h5; the file is complete or absent."""
    if path.suffix == ".h5":
        write_hdf5(path, net)
    else:
        write_binary(path, to_proto(net))
