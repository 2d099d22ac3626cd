"""Class scores by torch: forward passes of a deploy net."""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from emotiw.errors import EmotiwError

from .graph import State, read_graph
from .net import Net
from .weights import copy_from

BATCH = 10  # as many as the real Caffe is given


class Scorer:
    """A net with its weights that scores batch after batch; use it in a `with` statement, as the real Caffe's Scorer.

    Parameters
    ----------
    net
        A deploy.prototxt with one input.
    weights
        A caffemodel. As always in Caffe, a layer whose name it lacks keeps its filler's values, silently.
    output
        The blob to return; None is the net's last output.
    device
        Where it computes.
    precision
        A name of `PRECISIONS`.

    Raises
    ------
    EmotiwError
        Where a file is missing or damaged, the two do not fit, there is no such blob, or a batch does not fit the net.
    """

    def __init__(
        self,
        net: Path,
        weights: Path,
        output: str | None = "prob",
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        for file in (net, weights):
            if not file.is_file():
                raise EmotiwError(f"{file}: no such file")
        self._path, self._weights, self._output = net, weights, output
        self._device, self._precision = device, precision
        self._net: Net | None = None

    def __enter__(self) -> Self:
        net = Net(read_graph(self._path, State("TEST")), device=self._device, precision=self._precision)
        copy_from(net, self._weights)
        if len(net.inputs) != 1:
            raise EmotiwError(f"{self._path}: it takes one input, not {len(net.inputs)}: is it a deploy.prototxt?")
        if (self._output or net.outputs[-1]) not in net.shapes:
            raise EmotiwError(f"{self._path}: no blob {self._output} in this net: it has {', '.join(net.shapes)}")
        self._net = net
        return self

    def __exit__(self, *exception: object) -> None:
        self._net = None  # and with it its memory

    def scores(self, blob: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the net's answer to one batch.

        Parameters
        ----------
        blob : float32 array, (N, 3, H, W)
            What the net's input expects: BGR, minus the mean; N at least 1.

        Returns
        -------
        float32 array, (N, classes)
            The output blob, flattened behind its first axis.
        """
        if blob.ndim != 4 or not len(blob):
            raise ValueError(f"a batch is N x channels x H x W with N >= 1, not {blob.shape}")
        assert self._net is not None, "a Scorer works in a `with` statement"
        batch = torch.from_numpy(np.ascontiguousarray(blob, np.float32))
        try:
            with torch.no_grad():
                self._net({self._net.inputs[0]: batch})
        except torch.OutOfMemoryError:
            raise EmotiwError(
                f"{self._path}: a batch of {blob.shape} does not fit into {self._device}'s memory: give fewer at a time"
            ) from None
        answer = self._net.blobs[self._output or self._net.outputs[-1]]
        return np.array(answer.reshape(len(blob), -1).float().cpu().numpy(), np.float32)


def scores(
    net: Path,
    weights: Path,
    images: NDArray[np.float32],
    device: torch.device | str = "cpu",
    precision: str = "float32",
) -> NDArray[np.float32]:
    """Return the scores of all `images` at once; as `Scorer.scores`, in batches of `BATCH`.

    Parameters
    ----------
    net, weights, device, precision
        As for `Scorer`.
    images : float32 array, (N, 3, H, W)
        As for `Scorer.scores`.

    Returns
    -------
    float32 array, (N, classes)
    """
    with Scorer(net, weights, None, device, precision) as scorer:
        return np.concatenate([scorer.scores(images[first : first + BATCH]) for first in range(0, len(images), BATCH)])
