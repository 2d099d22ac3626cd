"""Class scores by torch: forward passes of a deploy net."""

from pathlib import Path
from typing import Self

import numpy as np
import torch

from emotiw.engine.base import Blob, Scorer
from emotiw.errors import EmotiwError

from .graph import State, read_graph
from .net import Net
from .weights import copy_from


class TorchScorer(Scorer):
    """A `Scorer` on torch, with a device and a precision."""

    def __init__(
        self,
        net: Path,
        weights: Path,
        output: str | None = "prob",
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        super().__init__(net, weights, output)
        self._device, self._precision = device, precision
        self._loaded: Net | None = None

    def __enter__(self) -> Self:
        try:
            net = Net(read_graph(self._net, State("TEST")), device=self._device, precision=self._precision)
            copy_from(net, self._weights)
        except torch.OutOfMemoryError:
            raise EmotiwError(
                f"{self._net}: {self._device}'s memory is full: free some, or name another --gpu"
            ) from None
        if len(net.inputs) != 1:
            raise EmotiwError(f"{self._net}: it takes one input, not {len(net.inputs)}: is it a deploy.prototxt?")
        if (self._output or net.outputs[-1]) not in net.shapes:
            raise EmotiwError(f"{self._net}: no blob {self._output} in this net: it has {', '.join(net.shapes)}")
        net.kept = {self._output or net.outputs[-1]}
        self._loaded = net
        return self

    def __exit__(self, *exception: object) -> None:
        self._loaded = None
        if torch.device(self._device).type == "cuda":
            torch.cuda.empty_cache()  # a training may need that memory

    def _answer(self, blob: Blob) -> Blob:
        net = self._loaded
        assert net is not None, "a Scorer works in a `with` statement"
        try:
            with torch.no_grad():
                net({net.inputs[0]: torch.from_numpy(blob)})
        except torch.OutOfMemoryError:
            raise EmotiwError(
                f"{self._net}: a batch of {blob.shape} does not fit into {self._device}'s memory: give fewer at a time"
            ) from None
        answer = net.blobs[self._output or net.outputs[-1]]
        return np.array(answer.reshape(len(blob), -1).float().cpu().numpy(), np.float32)
