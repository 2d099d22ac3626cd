"""From an image to a net's input: resize, mean and crops, by the rules of pycaffe's io.py."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from emotiw.prototxt.formats.layer_parameters import TransformationParameter

from . import image_resize

Image = NDArray[np.uint8] | NDArray[np.float32]
Blob = NDArray[np.float32]
Mean = NDArray[np.float32] | NDArray[np.float64]
Sides = tuple[int, int]  # height and width


def resize(rgb: NDArray[np.uint8], size: int) -> Blob:
    """Resize an image as the authors' script does: `caffe.io.load_image`, then `caffe.io.resize_image`.

    Bilinear with black beyond the border, so an enlarged image darkens at its edges; smoothed by a Gaussian if it
    shrinks; the aspect ratio is not kept. This is not OpenCV's rule, by which a set is prepared.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].
    size
        Side of the result in pixels.

    Returns
    -------
    (size, size, 3) float32
        RGB, [0, 255].
    """
    return resize_image((rgb / 255).astype(np.float32), (size, size)) * np.float32(255)


def resize_image(image: Blob, sides: Sides, order: int = 1) -> Blob:
    """`caffe.io.resize_image`, with scikit-image 0.15 or newer, which smooths; implemented with scipy.

    Parameters
    ----------
    image : (H, W, K) float32
        Values of any range.
    sides
        Height and width of the result.
    order
        Of the interpolation, as for `image_resize.resize`: 1 is bilinear.

    Returns
    -------
    (height, width, K) float32
    """
    from scipy import ndimage

    shrink = np.array(image.shape[:2]) / sides
    if image.shape[2] not in (1, 3):  # scikit-image accepts no such images
        return np.asarray(ndimage.zoom(image, (*1 / shrink, 1), order=order), np.float32)
    low, high = image.min(), image.max()
    if low == high:
        return np.full((*sides, image.shape[2]), low, np.float32)
    unit = (image - low) / (high - low)
    if order != 1:
        interpolated = image_resize.resize(image_resize.smoothed(unit, sides), sides, order)
        return np.asarray(interpolated * (high - low) + low, np.float32)
    if (shrink > 1).any():
        # Deviation D15
        unit = ndimage.gaussian_filter(unit, (*np.maximum(0, (shrink - 1) / 2), 0), mode="constant")
    resized = ndimage.zoom(unit, (*1 / shrink, 1), order=1, mode="grid-constant", grid_mode=True).clip(0, 1)
    return np.asarray(resized * (high - low) + low, np.float32)


def resize_mean(mean: Blob, sides: Sides) -> Blob:
    """Resize a (C, H, W) mean to the net's input, as `caffe.io.Transformer.set_mean` does since mid-2017."""
    low, high = mean.min(), mean.max()
    if mean.shape[1:] == sides:
        return mean
    if low == high:
        return np.full((len(mean), *sides), low, np.float32)
    unit = (mean - low) / (high - low)
    smaller = resize_image(unit.transpose(1, 2, 0), sides).transpose(2, 0, 1)
    return np.asarray(smaller * (high - low) + low, np.float32)


def _resized(mean: Blob, crop: int) -> Blob:
    return resize_mean(mean, (crop, crop))


def _cropped(mean: Blob, crop: int) -> Blob:
    """Return the mean's centre crop, as Caffe's data layer uses it in the TEST phase."""
    top, left = ((side - crop) // 2 for side in mean.shape[1:])
    return mean[:, top : top + crop, left : left + crop]


def _averaged(mean: Blob, crop: int) -> Mean:
    """Return one number per channel, as Caffe's examples have it: `mean.mean(1).mean(1)` of `blobproto_to_array`.

    The average is float64, as there: pycaffe rounds only the difference from the image.
    """
    channels = mean.astype(np.float64).mean(1).mean(1)
    return np.broadcast_to(channels[:, np.newaxis, np.newaxis], (len(mean), crop, crop))


MEAN_RULES: Mapping[str, Callable[[Blob, int], Mean]] = {"resize": _resized, "crop": _cropped, "channel": _averaged}
"""Rules that turn a (3, S, S) mean into the (3, crop, crop) mean that is subtracted from every crop."""


def input_mean(mean: Blob, transform: TransformationParameter, crop: int, rule: str) -> Mean:
    """Return the mean of a net's input: the mean image if the net was trained with one, else its mean values.

    Parameters
    ----------
    mean : (3, S, S) float32
        The mean image, B, G, R.
    transform
        Of the net's Data layers: it has a `mean_file`, `mean_value`s (one, or one each for B, G and R), or no mean.
    crop
        Side of the net's input.
    rule
        A key of `MEAN_RULES`.

    Returns
    -------
    (3, crop, crop) float32, or float64 if the rule is `channel`
    """
    if transform.mean_file:
        return MEAN_RULES[rule](mean, crop)
    values = np.array(list(transform.mean_value) or [0], np.float32)
    return np.ascontiguousarray(np.broadcast_to(values.reshape(-1, 1, 1), (3, crop, crop)))


def crop_places(sides: Sides, crop: Sides, crops: int) -> list[tuple[int, int, bool]]:
    """Return (top, left, mirrored) of the centre crop, or of pycaffe's ten: corners and centre, each mirrored too."""
    (low, left), (far, right) = (((sides[k] - crop[k]) // 2 for k in (0, 1)), (sides[k] - crop[k] for k in (0, 1)))
    if crops == 1:
        return [(low, left, False)]
    places = [(0, 0), (0, right), (far, 0), (far, right), (low, left)]
    return [(*place, mirrored) for mirrored in (False, True) for place in places]


def crop_offsets(size: int, crop: int, crops: int) -> list[tuple[int, int, bool]]:
    """Return `crop_places` of a square crop in a square image."""
    return crop_places((size, size), (crop, crop), crops)


def net_inputs(image: Image, mean: Mean, crops: int = 1, scale: float = 1) -> Blob:
    """Return the net's input for each crop of an image.

    Parameters
    ----------
    image : (3, S, S) uint8 or float32
        Channels in B, G, R order, [0, 255].
    mean : (3, crop, crop) float32 or float64
        Of the net's input size; the same for every crop, as in `caffe.Classifier`.
    crops
        1 or 10.
    scale
        The `scale` of `transform_param`, by which the differences are multiplied.

    Returns
    -------
    (crops, 3, crop, crop) float32

    Raises
    ------
    ValueError
        If the image is smaller than the net's input.
    """
    crop = mean.shape[-1]
    if min(image.shape[1:]) < crop:
        raise ValueError(f"an image of {image.shape} for an input of {mean.shape}: it is too small")
    cut = [
        (image[:, y : y + crop, x : x + crop][..., ::-1] if mirrored else image[:, y : y + crop, x : x + crop])
        for y, x, mirrored in crop_offsets(image.shape[-1], crop, crops)
    ]
    inputs = (np.stack(cut).astype(np.float32) - mean).astype(np.float32, copy=False)
    return inputs if scale == 1 else inputs * np.float32(scale)
