"""Arrays in Caffe's blobs: means and weights."""

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError

from .messages import AnyBlob, BlobProto, PackedBlob, PackedNet, read_binary, write_binary
from .upgrade import weighted

Blob = NDArray[np.float32]


def shape_of(blob: AnyBlob) -> tuple[int, ...]:
    """Return a BlobProto's shape; without `shape`, from the four old fields (num, channels, height, width)."""
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    return (blob.num, blob.channels, blob.height, blob.width)


def array_of(blob: AnyBlob, where: str = "a blob") -> Blob:
    """Return a BlobProto's values as a float32 array of its shape, a copy.

    Raises
    ------
    EmotiwError
        If the number of values does not fit the shape; `where` names the blob.
    """
    shape = shape_of(blob)
    packed = blob if isinstance(blob, PackedBlob) else PackedBlob.FromString(blob.SerializeToString())
    try:
        values = np.frombuffer(packed.data, "<f4") if packed.data else np.frombuffer(packed.double_data, "<f8")
    except ValueError:
        raise EmotiwError(f"{where} holds half a number: damaged; fetch or make it again") from None
    if min(shape, default=0) < 0 or values.size != prod(shape):
        raise EmotiwError(f"{where} of shape {shape} holds {values.size} values: damaged; fetch or make it again")
    with np.errstate(over="ignore", invalid="ignore"):  # too large doubles become infinite, as in Caffe
        return values.reshape(shape).astype(np.float32)


def blob_of(array: Blob) -> BlobProto:
    """Return a BlobProto of the array's shape and values."""
    return BlobProto.FromString(_packed(array, shape={"dim": array.shape}).SerializeToString())


def old_blob_of(array: Blob) -> PackedBlob:
    """Return a PackedBlob as Caffe wrote blobs before they had `shape`: of up to four axes, in the four old fields."""
    sides = (1,) * (4 - array.ndim) + array.shape
    return _packed(array, **dict(zip(("num", "channels", "height", "width"), sides, strict=True)))


def _packed(array: Blob, **shape: object) -> PackedBlob:
    return PackedBlob(data=array.astype("<f4", copy=False).tobytes(), **shape)


def read_mean(path: Path) -> Blob:
    """Return the mean image of a binaryproto.

    Returns
    -------
    (C, H, W) float32
        Channels in blue, green, red order; values in [0, 255].
    """
    mean = array_of(read_binary(path, PackedBlob), str(path))
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3 or mean.size == 0:
        raise EmotiwError(f"{path} is not a mean image: its shape is {mean.shape}, not (C, H, W)")
    return mean


def write_mean(path: Path, mean: Blob) -> None:
    """Write a (C, H, W) mean image as Caffe's `compute_image_mean` does: four old fields, 1 x C x H x W."""
    write_binary(path, old_blob_of(mean))


def read_weights(path: Path) -> dict[str, list[Blob]]:
    """Return the blobs of every layer of a caffemodel that has any; V1 files (the authors') can be read, too."""
    blobs = weighted(read_binary(path, PackedNet))
    return {name: [array_of(blob, f"{path}: {name}") for blob in found] for name, found in blobs.items()}
