"""From images of one size to class posteriors: batches, forward passes, the mean over crops."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .base import DivergedError
from .preprocessing import Image, net_inputs

Blob = NDArray[np.float32]

BATCH = 40  # inputs a forward pass


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
