"""`caffe.io`: arrays in Caffe's messages, image files, net inputs; with the names of pycaffe's io.py."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from emotiw.engine import image_resize
from emotiw.engine.preprocessing import Sides, crop_places
from emotiw.engine.preprocessing import resize_image as _resize_image
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import BlobProto, BlobProtoVector, Datum

from .blobs import Array
from .image_files import load_image as load_image
from .proto import caffe_pb2 as caffe_pb2
from .transformer import Transformer as Transformer


def blobproto_to_array(blob: BlobProto, return_diff: bool = False) -> Array:
    """Return a BlobProto's values, or its gradient, in its shape.

    Raises
    ------
    ValueError
        If their number does not fit the shape; without a shape there must be one value.
    """
    values = np.array(blob.diff if return_diff else blob.data)
    old = ("num", "channels", "height", "width")
    if any(blob.HasField(side) for side in old):
        return values.reshape([getattr(blob, side) for side in old])
    return values.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: Array, diff: Array | None = None) -> BlobProto:
    """Return a BlobProto of an array, and of a gradient of the same shape."""
    blob = BlobProto(shape={"dim": arr.shape}, data=arr.astype(float).ravel())
    if diff is not None:
        blob.diff.extend(diff.astype(float).ravel())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[Array]) -> bytes:
    """Return arrays as a serialised BlobProtoVector."""
    return BlobProtoVector(blobs=map(array_to_blobproto, arraylist)).SerializeToString()


def blobprotovector_str_to_arraylist(serialised: bytes) -> list[Array]:
    """Return the arrays of a serialised BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in BlobProtoVector.FromString(serialised).blobs]


def array_to_datum(arr: Array, label: int | None = None) -> Datum:
    """Return a Datum of a (C, H, W) array: of bytes if it is uint8, else of floats."""
    if arr.ndim != 3:
        raise ValueError(f"a Datum is of C x H x W, not of {arr.shape}")
    datum = Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2], label=label)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).ravel())
    return datum


def datum_to_array(datum: Datum) -> Array:
    """Return a Datum's (C, H, W): uint8 of bytes, float64 of floats."""
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.array(datum.float_data, float).reshape(shape)


def resize_image(im: Array, new_dims: Sequence[int], interp_order: int = 1) -> NDArray[np.float32]:
    """Resize an (H, W, K) image to (height, width)."""
    return _resize_image(im, _sides(new_dims), interp_order)


def resize(
    image: Array,
    output_shape: Sequence[int],
    order: int = 1,
    mode: str = "reflect",
    cval: float = 0,
    clip: bool = True,
    preserve_range: bool = False,
    anti_aliasing: bool = True,
) -> Array:
    """Resize an (H, W) or (H, W, K) image to (height, width): scikit-image's `resize`, which pycaffe imports here.

    Parameters
    ----------
    image
        Integers are divided by the maximum of their type, unless `preserve_range`.
    output_shape
        (height, width), or with the number of channels, which stays.
    order, mode, cval, clip, anti_aliasing
        As for `skimage.transform.resize`.

    Returns
    -------
    array
        float32 of float32, else float64.
    """
    shape = tuple(map(int, output_shape))
    if image.ndim not in (2, 3) or len(shape) not in (2, image.ndim) or shape[2:] not in ((), image.shape[2:]):
        raise EmotiwError(f"an image of {image.shape} cannot be resized to {shape}: height and width change, no more")
    sides = (shape[0], shape[1])
    values = np.atleast_3d(image)
    values = image_resize.smoothed(values, sides, mode, cval) if anti_aliasing else values
    unit = np.iinfo(image.dtype).max if image.dtype.kind in "ui" and not preserve_range else 1
    made: Array = image_resize.resize(values / unit, sides, order, mode, cval, clip)
    made = made.astype(np.float32) if image.dtype == np.float32 else made
    return made if image.ndim == 3 else made[..., 0]


def oversample(images: Sequence[Array], crop_dims: Sequence[int]) -> NDArray[np.float32]:
    """Return the four corners and the centre of each (H, W, K) image, then their mirrors: (10 N, h, w, K) float32."""
    height, width = _sides(crop_dims)
    places = crop_places(_sides(images[0].shape), (height, width), 10)
    cut = [
        image[top : top + height, left : left + width][:, :: -1 if mirrored else 1]
        for image in images
        for top, left, mirrored in places
    ]
    return np.stack(cut).astype(np.float32)


def _sides(dims: Sequence[int]) -> Sides:
    return int(dims[0]), int(dims[1])
