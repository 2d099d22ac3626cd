"""From images of one size to class posteriors: crops, mean, batches."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .classifier import Sides
from .events import DivergedError

Image = NDArray[np.uint8] | NDArray[np.float32]
Blob = NDArray[np.float32]

BATCH = 40  # inputs a forward pass


def crop_places(sides: Sides, crop: Sides, crops: int) -> list[tuple[int, int, bool]]:
    """Return (top, left, mirrored) of the centre crop, or of pycaffe's ten: corners and centre, each mirrored too."""
    (low, left), (far, right) = (((sides[k] - crop[k]) // 2 for k in (0, 1)), (sides[k] - crop[k] for k in (0, 1)))
    if crops == 1:
        return [(low, left, False)]
    places = [(0, 0), (0, right), (far, 0), (far, right), (low, left)]
    return [(*place, mirrored) for mirrored in (False, True) for place in places]


def crop_offsets(size: int, crop: int, crops: int) -> list[tuple[int, int, bool]]:
    """Return `crop_places` of a square one in a square."""
    return crop_places((size, size), (crop, crop), crops)


def net_inputs(image: Image, mean: Blob, crops: int = 1) -> Blob:
    """Return the net's input for each crop of an image.

    Parameters
    ----------
    image : (3, S, S) uint8 or float32
        Channels in B, G, R order, [0, 255].
    mean : (3, crop, crop) float32
        Of the net's input's size; subtracted from every crop alike, as `caffe.Classifier` does.
    crops
        1 or 10.

    Returns
    -------
    (crops, 3, crop, crop) float32
    """
    crop = mean.shape[-1]
    cut = [
        (image[:, y : y + crop, x : x + crop][..., ::-1] if mirrored else image[:, y : y + crop, x : x + crop])
        for y, x, mirrored in crop_offsets(image.shape[-1], crop, crops)
    ]
    return np.stack(cut).astype(np.float32) - mean


def posteriors(
    forward: Callable[[Blob], Blob], images: Iterable[Image], mean: Blob, crops: int = 1
) -> Iterator[NDArray[np.float64]]:
    """Yield the class posteriors of each image, averaged over its crops, at flat memory.

    Parameters
    ----------
    forward
        From (N, 3, crop, crop) float32 to (N, classes) float32: an engine's scorer.
    images, mean, crops
        As for `net_inputs`.

    Raises
    ------
    ValueError
        Where an image is smaller than the net's input.
    DivergedError
        Where a score is not finite: Caffe's own Accuracy would count such an image as right.
    """
    remaining = iter(images)
    while batch := list(islice(remaining, max(1, BATCH // crops))):
        for image in batch:
            if min(image.shape[1:]) < mean.shape[-1]:
                raise ValueError(f"an image of {image.shape} for an input of {mean.shape}: it is too small")
        blob = np.concatenate([net_inputs(image, mean, crops) for image in batch])
        scores = forward(blob).astype(np.float64).reshape(len(batch), crops, -1).mean(axis=1)
        if not np.isfinite(scores).all():
            raise DivergedError("the net's scores are not numbers (NaN)")
        yield from scores
