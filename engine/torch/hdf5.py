"""Weights as HDF5, in and out: Caffe's Net::CopyTrainedLayersFromHDF5 and Net::ToHDF5."""

from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.files import whole

from .layers.layer import Layer
from .net import Net


def write_hdf5(path: Path, net: Net) -> None:
    """Write a net's learned blobs, each once; the file is complete or absent."""
    shared = _shared(net)
    with whole(path) as temporary, h5py.File(temporary, "w") as file:
        data = file.create_group("data")
        for layer in net.layers:
            place = data.require_group(layer.param.name)  # `a` may exist already, made for `a/b`
            for k, (blob, shape) in enumerate(zip(layer.blobs, layer.shapes, strict=True)):
                if (layer.param.name, k) not in shared:
                    place.create_dataset(str(k), data=blob.detach().cpu().reshape(shape).numpy())


def copy_from_hdf5(net: Net, path: Path) -> None:
    """Copy the weights of an HDF5 file into a net, by layer name.

    Raises
    ------
    EmotiwError
        If there is no such file, or a layer's blobs differ from the net's; the net is then unchanged.
    """
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            data = file.get("data")
            if not isinstance(data, h5py.Group):
                raise EmotiwError(f"{path}: no group `data` in it: Caffe's weights have one")
            shared = _shared(net)
            found = [
                (blob, torch.from_numpy(array))
                for layer in net.layers
                if isinstance(data.get(layer.param.name), h5py.Group)
                for blob, array in _read(data[layer.param.name], layer, shared, f"{path}: layer {layer.param.name!r}")
            ]
    except OSError as error:
        raise EmotiwError(f"{path} is no HDF5 file that can be read: {error}") from None
    with torch.no_grad():
        for blob, array in found:
            blob.copy_(array.reshape(blob.shape))


def _read(
    group: h5py.Group, layer: Layer, shared: set[tuple[str, int]], where: str
) -> list[tuple[Tensor, NDArray[np.float32]]]:
    """Return a layer's blobs, each with its new values."""
    count = sum(isinstance(each, h5py.Dataset) for each in group.values())
    if count > len(layer.shapes):
        raise EmotiwError(f"{where} has {count} blobs there, not {len(layer.shapes)}")
    found = []
    for k, (blob, shape) in enumerate(zip(layer.blobs, layer.shapes, strict=True)):
        dataset = group.get(str(k))
        if dataset is None and (layer.param.name, k) in shared:
            continue
        if not isinstance(dataset, h5py.Dataset) or dataset.shape != shape:
            shown = getattr(dataset, "shape", "missing")
            raise EmotiwError(f"{where}: its blob {k} is {shown} there, not {shape}: give the layer another name")
        found.append((blob, dataset[()].astype("float32")))
    return found


def _shared(net: Net) -> set[tuple[str, int]]:
    """Return the (layer, blob number) of each blob that an earlier layer owns."""
    seen: set[int] = set()
    found = set()
    for layer in net.layers:
        for k, blob in enumerate(layer.blobs):
            if id(blob) in seen:
                found.add((layer.param.name, k))
            seen.add(id(blob))
    return found
