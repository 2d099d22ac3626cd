"""The engine's training loop on nets that run layer by layer."""

from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.torch.graph import Graph
from emotiw.engine.torch.layers.source import OpenSource
from emotiw.engine.torch.solver import Solver

from .layerwise import Layerwise
from .modes import draw_seed


class Loop(Solver):
    """The training loop on nets that run layer by layer, and whose gradients keep their place.

    Attributes
    ----------
    opened
        The net that is trained, then the test nets.
    """

    opened: list[Layerwise]

    def apply_update(self) -> None:
        """Change the weights by their gradients, which become what the weights lost, as Caffe leaves them."""
        self.opened[0].settle()
        blobs = {id(blob.parameter): blob for blobs in self.opened[0].learned for blob in blobs}.values()
        before = [blob.data_memory.tensor.clone() for blob in blobs]
        super().apply_update()
        for blob, weights in zip(blobs, before, strict=True):
            torch.sub(weights, blob.data_memory.tensor, out=blob.diff_memory.tensor)
        self._forget()

    def snapshot(self) -> Path:
        """Write the weights and the state, with what the user has written."""
        self.opened[0].settle()
        return super().snapshot()

    def restore(self, path: Path) -> None:
        """Go on from a solverstate, whatever the user has written."""
        self.opened[0].settle()
        super().restore(path)
        self._forget()

    def _forget(self) -> None:
        for net in self.opened:
            net.forget()

    def _open(
        self, graph: Graph, open_source: OpenSource | None, seed: int | None, device: torch.device | str
    ) -> Layerwise:
        net = Layerwise(graph, open_source, draw_seed() if seed is None else seed, device)
        self.opened = [*getattr(self, "opened", []), net]
        return net

    def _clear_gradients(self) -> None:
        for blobs in self.opened[0].learned:
            for blob in blobs:
                blob.diff_memory.tensor.zero_()

    def _forward_backward(self) -> Tensor:
        net = self.opened[0]
        loss: Tensor = net()
        net.run_backward(len(net.layers) - 1, 0)
        return loss
