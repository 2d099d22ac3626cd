"""`caffe.get_solver` and pycaffe's solver classes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from emotiw.engine.torch.net import Net as TorchNet
from emotiw.engine.torch.solver.solver import Solver as TorchSolver
from emotiw.engine.torch.solver.solver_param import read_solver
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import SolverParameter

from .layerwise import Layerwise
from .memory_data import Feeds
from .mode import device, draw_seed, log
from .net import Net


class Loop(TorchSolver):
    """The training loop on nets that run layer by layer, with persistent gradients."""

    nets = Layerwise
    net: Layerwise
    test_nets: list[Layerwise]

    @property
    def opened(self) -> list[Layerwise]:
        """The training net, then the test nets."""
        return [self.net, *self.test_nets]

    def apply_update(self) -> None:
        """Update the weights; as in Caffe, each gradient then holds what was subtracted from the weights."""
        self.net.settle()
        blobs = {id(blob.memories): blob for blobs in self.net.learned for blob in blobs}.values()
        before = [blob.tensor.clone() for blob in blobs]
        super().apply_update()
        for blob, weights in zip(blobs, before, strict=True):
            torch.sub(weights, blob.tensor, out=blob.gradient)
        self._forget()

    def snapshot(self, *, by_all: bool = True) -> Path:
        """Write the weights and the state, including the user's changes."""
        self.net.settle()
        return super().snapshot(by_all=by_all)

    def restore(self, path: Path) -> None:
        """Resume from a solverstate, discarding the user's changes."""
        self.net.settle()
        super().restore(path)
        self._forget()

    def _share(self, test_net: TorchNet) -> None:
        assert isinstance(test_net, Layerwise)
        test_net.share_with(self.net)

    def _forget(self) -> None:
        for net in self.opened:
            net.forget()

    def _clear_gradients(self) -> None:
        for blobs in self.net.learned:
            for blob in blobs:
                blob.gradient.zero_()

    def _forward_backward(self, last: bool) -> Tensor:
        loss: Tensor = self.net()
        self.net.run_backward(len(self.net.layers) - 1, 0)
        return loss


class Solver:
    """A pycaffe solver, which logs to standard error as Caffe does; see `caffe.log`.

    Paths of nets, LMDBs and weights are relative to the current folder. A loss that is not finite ends the training
    with an error; Caffe would continue.

    Parameters
    ----------
    solver_file
        A solver's prototxt; its `type` must be the class's, its `solver_mode` is ignored.

    Attributes
    ----------
    net, test_nets
        The nets; as in Caffe, test nets have weights of their own until the first test, then share those of `net`.
    """

    _type: ClassVar[str]

    def __init__(self, solver_file: str) -> None:
        param = read_solver(Path(solver_file))
        param.type = self._type
        self._feeds = Feeds(device(), draw_seed())
        self._loop = Loop(param, open_source=self._feeds, device=device())
        self._loop.log = log
        self.net, *self.test_nets = (Net.of(net, self._feeds) for net in self._loop.opened)

    @property
    def iter(self) -> int:
        """Return the number of updates so far."""
        return self._loop.iteration

    @property
    def param(self) -> SolverParameter:
        """Return the SolverParameter; changes take effect at the next iteration."""
        return self._loop.param

    @property
    def lr(self) -> float:
        """Return the learning rate of the next iteration."""
        return self._loop.policy.rate(self.iter)

    def solve(self, resume_file: str | None = None) -> None:
        """Train to `max_iter`, from the beginning or from a solverstate."""
        self._loop.solve(Path(resume_file) if resume_file else None)

    def step(self, iterations: int) -> None:
        """Train for a number of iterations."""
        self._loop.step(iterations)

    def restore(self, state_file: str) -> None:
        """Resume from a solverstate."""
        self._loop.restore(Path(state_file))

    def snapshot(self) -> None:
        """Write the caffemodel and the solverstate of this iteration."""
        self._loop.snapshot()

    def apply_update(self) -> None:
        """Update the weights by the current gradients, and count the iteration."""
        self._loop.apply_update()

    def add_callback(self, on_start: Callable[[], object], on_gradients_ready: Callable[[], object]) -> None:
        """Call functions in every iteration: before its first pass, and between its last pass and the update."""
        self._loop.on_start.append(on_start)
        self._loop.on_gradients_ready.append(on_gradients_ready)

    def share_weights(self, net: Net) -> None:
        """Share the learned blobs with another net."""
        net.share_with(self.net)


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    _type = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    _type = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad."""

    _type = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp."""

    _type = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta."""

    _type = "AdaDelta"


class AdamSolver(Solver):
    """Adam."""

    _type = "Adam"


_KINDS: Sequence[type[Solver]] = (
    SGDSolver,
    NesterovSolver,
    AdaGradSolver,
    RMSPropSolver,
    AdaDeltaSolver,
    AdamSolver,
)
SOLVERS: Mapping[str, type[Solver]] = {kind._type: kind for kind in _KINDS}
"""The solver classes by their types in a prototxt."""


def get_solver(solver_file: str) -> Solver:
    """Return a solver of the type in its prototxt."""
    kind = read_solver(Path(solver_file)).type
    if kind not in SOLVERS:
        raise EmotiwError(f"{solver_file}: no solver of type {kind!r}: there are {', '.join(SOLVERS)}")
    return SOLVERS[kind](solver_file)
