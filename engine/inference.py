"""From net inputs to class posteriors: batches, forward passes, the check for NaN, the mean over crops.

This is the only place where images are scored: validation, `evaluate` and `predict` all come here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .base import Blob, DivergedError

Forward = Callable[[Blob], Blob]
Key = TypeVar("Key")

BATCH = 40  # inputs per forward pass


class NotFiniteError(DivergedError):
    """A net's scores are NaN or infinite; `net` is its position among the nets."""

    def __init__(self, net: int) -> None:
        super().__init__("the net's scores are not numbers (NaN)")
        self.net = net


def posteriors(
    nets: Sequence[Forward], images: Iterable[tuple[Key, Sequence[Blob]]], crops: int = 1, batch: int = BATCH
) -> Iterator[tuple[Key, NDArray[np.float64]]]:
    """Yield the class posteriors of each image by each net, averaged over its crops, in constant memory.

    Parameters
    ----------
    nets
        Functions from (N, 3, H, W) float32 to (N, classes) float32: engines' scorers. All have the same classes.
    images
        A key of each image, which is yielded with its posteriors, and its input to each net: (crops, 3, H, W) float32.
        An image without inputs keeps its position and gets an empty array.
    crops
        The number of crops of each input.
    batch
        The number of inputs in a forward pass.

    Yields
    ------
    key, (nets, classes) float64

    Raises
    ------
    NotFiniteError
        If a score is not finite: Caffe's own Accuracy would count such an image as right.
    """
    remaining = iter(images)
    while taken := list(islice(remaining, max(1, batch // crops))):
        inputs = [inputs for _, inputs in taken if inputs]
        answers = iter(_scores(nets, inputs, crops) if inputs else ())
        for key, blobs in taken:
            yield key, next(answers) if blobs else np.empty((0, 0))


def _scores(nets: Sequence[Forward], inputs: Sequence[Sequence[Blob]], crops: int) -> NDArray[np.float64]:
    """Return the (images, nets, classes) posteriors of one batch."""
    answers = []
    for number, (net, blobs) in enumerate(zip(nets, zip(*inputs, strict=True), strict=True)):
        scores = net(np.concatenate(blobs)).astype(np.float64)
        if not np.isfinite(scores).all():
            raise NotFiniteError(number)
        answers.append(scores.reshape(len(inputs), crops, -1).mean(axis=1))
    return np.array(answers).swapaxes(0, 1)
