"""From the images of a set to class posteriors: crops, mean, batches."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .events import DivergedError

Bytes = NDArray[np.uint8]
Blob = NDArray[np.float32]

_BATCH = 40


def crop_offsets(size: int, crop: int, crops: int) -> list[tuple[int, int, bool]]:
    """Return (top, left, mirrored) of the centre crop, or of pycaffe's ten: centre and corners, each mirrored too."""
    centre = (size - crop) // 2
    if crops == 1:
        return [(centre, centre, False)]
    far = size - crop
    places = [(0, 0), (0, far), (far, 0), (far, far), (centre, centre)]
    return [(top, left, mirrored) for mirrored in (False, True) for top, left in places]


def net_inputs(image: Bytes, mean: Blob, crop: int, crops: int = 1) -> Blob:
    """Return the net's input for each crop of an image.

    Parameters
    ----------
    image : (3, S, S) uint8
        Channels in B, G, R order.
    mean : (3, S, S) float32
        Its centre crop is subtracted from every crop, as `caffe.Classifier` does when given that.
    crop
        Side of the net's input in pixels.
    crops
        1 or 10.

    Returns
    -------
    (crops, 3, crop, crop) float32
    """
    size = image.shape[-1]
    top, left, _ = crop_offsets(size, crop, 1)[0]
    # Deviation D11
    centre = mean[:, top : top + crop, left : left + crop]
    cut = [
        (image[:, y : y + crop, x : x + crop][..., ::-1] if mirrored else image[:, y : y + crop, x : x + crop])
        for y, x, mirrored in crop_offsets(size, crop, crops)
    ]
    return np.stack(cut).astype(np.float32) - centre


def posteriors(
    forward: Callable[[Blob], Blob], images: Iterable[Bytes], mean: Blob, crop: int, crops: int = 1
) -> Iterator[NDArray[np.float64]]:
    """Yield the class posteriors of each image, averaged over its crops, at flat memory.

    Parameters
    ----------
    forward
        From (N, 3, crop, crop) float32 to (N, classes) float32: an engine's scorer.

    Raises
    ------
    ValueError
        Where an image is not of the mean's size.
    DivergedError
        Where a score is not finite: Caffe's own Accuracy would count such an image as right.
    """
    remaining = iter(images)
    while batch := list(islice(remaining, max(1, _BATCH // crops))):
        for image in batch:
            if image.shape != mean.shape:
                raise ValueError(f"an image of {image.shape} and a mean of {mean.shape}: they are not of one set")
        blob = np.concatenate([net_inputs(image, mean, crop, crops) for image in batch])
        scores = forward(blob).astype(np.float64).reshape(len(batch), crops, -1).mean(axis=1)
        if not np.isfinite(scores).all():
            raise DivergedError("the net's scores are not numbers (NaN)")
        yield from scores
