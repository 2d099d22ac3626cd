"""The engine's training loop on nets that run layer by layer."""

from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.torch.solver.solver import Solver

from .layerwise import Layerwise


class Loop(Solver):
    """The training loop on nets that run layer by layer, and whose gradients keep their place."""

    nets = Layerwise
    net: Layerwise
    test_nets: list[Layerwise]

    @property
    def opened(self) -> list[Layerwise]:
        """The net that is trained, then the test nets."""
        return [self.net, *self.test_nets]

    def apply_update(self) -> None:
        """Change the weights by their gradients, which become what the weights lost, as Caffe leaves them."""
        self.net.settle()
        blobs = {id(blob.parameter): blob for blobs in self.net.learned for blob in blobs}.values()
        before = [blob.data_memory.tensor.clone() for blob in blobs]
        super().apply_update()
        for blob, weights in zip(blobs, before, strict=True):
            torch.sub(weights, blob.data_memory.tensor, out=blob.diff_memory.tensor)
        self._forget()

    def snapshot(self) -> Path:
        """Write the weights and the state, with what the user has written."""
        self.net.settle()
        return super().snapshot()

    def restore(self, path: Path) -> None:
        """Go on from a solverstate, whatever the user has written."""
        self.net.settle()
        super().restore(path)
        self._forget()

    def _forget(self) -> None:
        for net in self.opened:
            net.forget()

    def _clear_gradients(self) -> None:
        for blobs in self.net.learned:
            for blob in blobs:
                blob.diff_memory.tensor.zero_()

    def _forward_backward(self, last: bool) -> Tensor:
        loss: Tensor = self.net()
        self.net.run_backward(len(self.net.layers) - 1, 0)
        return loss
