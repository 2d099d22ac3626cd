"""The training loop: Caffe's solver.cpp."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.base import Loss, OnProgress, Snapshot
from emotiw.engine.torch.layers.data_source import OpenSource
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.tuning import UNTUNED, Tuning
from emotiw.engine.torch.weights import common_weights, copy_from, share_weights
from emotiw.prototxt.formats.descriptors import enum_name
from emotiw.prototxt.formats.messages import SolverParameter

from .display import Losses, Scores, described, mean_scores, outputs
from .distributed import Alone, Request
from .lr_policies import Policy
from .out_of_memory import memory_advice
from .random_state import Randomness
from .snapshots import read_snapshot, state_name, write_snapshot
from .solver_param import check_snapshots, test_graphs, train_graph, upgrade_solver
from .updates import Update

# The names of snapshot formats in the log, and the suffixes of their files.
_FORMATS: Mapping[str, tuple[str, str]] = {"BINARYPROTO": ("binary proto", ""), "HDF5": ("HDF5", ".h5")}


class Solver:
    """A net and everything that trains it.

    Parameters
    ----------
    param
        The solver's settings; not changed.
    folder
        The folder to which its paths are relative.
    open_source
        Opens the sources of the nets' Data layers.
    device
        The device to compute on; the solver's `solver_mode` and `device_id` are ignored.
    precision
        One of `engine.PRECISIONS`, for training and tests.
    tuning
        Options for speed, for training and tests.

    Attributes
    ----------
    net, test_nets
        The nets; as in Caffe, test nets have weights of their own until the first test, then share those of `net`.
    iteration
        The number of updates so far.
    policy, update
        The learning rate, and the update of the weights.
    test_scores
        For each test net, the outputs of its last test, by name.
    on_progress
        Called with each displayed loss and each complete snapshot.
    log
        Called with each line that Caffe would log.
    on_start, on_gradients_ready
        Called in every iteration before the first pass, and between the last one and the update.
    request
        Called after every iteration, and between the batches of a test, for a user's request.
    together
        The collective operations with solvers of other ranks.
    randomness
        Its random state, saved with each solverstate and restored with it; None: not saved.

    Raises
    ------
    EmotiwError
        If Caffe would refuse the solver or one of its nets.
    """

    nets: Callable[..., Net] = Net  # the class of net to open

    def __init__(
        self,
        param: SolverParameter,
        folder: Path = Path(),
        open_source: OpenSource | None = None,
        device: torch.device | str = "cpu",
        precision: str = "float32",
        tuning: Tuning = UNTUNED,
    ) -> None:
        self.param, self.folder = upgrade_solver(param), folder
        self.together = Alone()
        check_snapshots(self.param, folder)
        seed = self.param.random_seed if self.param.random_seed >= 0 else None
        if seed is not None:
            torch.manual_seed(seed)
        how = {"open_source": open_source, "seed": seed, "device": device, "precision": precision, "tuning": tuning}
        self.net = self.nets(train_graph(self.param, folder), **how)
        self.test_nets: Sequence[Net] = [self.nets(graph, **how) for graph in test_graphs(self.param, folder)]
        for test_net in self.test_nets:
            common_weights(test_net, self.net)  # refuses now what the first test would refuse
        for names in self.param.weights:
            for name in names.split(","):
                copy_from(self.net, folder / name.strip())
        self.iteration = 0
        self.policy, self.update = Policy(self.param), Update(self.param, self.net.learnable)
        self.test_scores: list[Scores] = [{} for _ in self.test_nets]
        self.on_progress: OnProgress = lambda event: None
        self.log: Callable[[str], None] = lambda line: None
        self.on_start: list[Callable[[], object]] = []
        self.on_gradients_ready: list[Callable[[], object]] = []
        self.request: Callable[[], Request] = lambda: Request.NONE
        self.randomness: Randomness | None = None
        self._stopped = False
        self._losses = Losses(self.param.average_loss)

    def solve(self, resume: Path | None = None) -> None:
        """Train to `max_iter`, from the start or from a solverstate, with the final snapshot, display and test."""
        self._stopped = False
        self._say(f"Solving {self.net.graph.name}")
        self._say(f"Learning Rate Policy: {self.param.lr_policy}")
        if resume:
            self.restore(resume)
        self.step(self.param.max_iter - self.iteration)
        if self.param.snapshot_after_train and not self._due(self.param.snapshot):
            self.snapshot()
        if self._stopped:
            self._say("Optimization stopped early.")
            return
        if self._due(self.param.display):
            with torch.no_grad():
                self._losses.add(self.iteration, self.together.mean(self.net()))
            self._display()
        if self._due(self.param.test_interval):
            self.test_all()
        self._say("Optimization Done.")

    def step(self, iterations: int) -> None:
        """Train for a number of iterations, or until a request to stop.

        Raises
        ------
        DivergedError
            If a loss is not finite; the message has the iteration. Earlier snapshots stay.
        """
        self._losses = Losses(self.param.average_loss)
        self.iteration, self.policy.step = self.together.alike(self.update.kept, (self.iteration, self.policy.step))
        last = self.iteration + iterations
        while self.iteration < last and not self._stopped:
            self._iterate()
        self._losses.check()

    def test_all(self) -> None:
        """Test each test net on its `test_iter` batches; of several ranks only the leader tests, the others wait."""
        if self.together.leads:
            self._test_all()
        self._stopped = self.together.agreed(Request.STOP if self._stopped else Request.NONE) is Request.STOP

    def _test_all(self) -> None:
        for number, net in enumerate(self.test_nets):
            self._say(f"Iteration {self.iteration}, Testing net (#{number})")
            self._share(net)
            with memory_advice(net):
                means = mean_scores(net, self.param.test_iter[number], self._interrupted, self.iteration)
            if means is None:
                self._say("Test interrupted.")
                return
            self.test_scores[number], loss = means
            if self.param.test_compute_loss:
                self._say(f"Test loss: {loss:g}")
            for line in described("Test", net, self.test_scores[number]):
                self._say(line)

    def _share(self, test_net: Net) -> None:
        share_weights(test_net, self.net)

    def snapshot(self, *, by_all: bool = True) -> Path:
        """Write the weights and the state of this iteration; return the caffemodel. Only the leading rank writes.

        Parameters
        ----------
        by_all
            Whether the solvers of the other ranks call this, too; if not, their random states cannot be saved.

        Raises
        ------
        DivergedError
            If a weight is not finite; then nothing is written.
        """
        self._losses.check()
        drawn = self.randomness.gathered(self.together, by_all=by_all) if self.randomness else []
        kind, suffix = _FORMATS[enum_name(self.param, "snapshot_format")]
        weights = f"{self.param.snapshot_prefix}_iter_{self.iteration}.caffemodel{suffix}"
        if self.together.leads:
            self._say(f"Snapshotting to {kind} file {weights}")
            self._say(f"Snapshotting solver state to {kind} file {state_name(weights)}")
            write_snapshot(self.folder, weights, self.net, self.iteration, self.policy.step, self.update.history)
            if self.randomness and drawn:
                self.randomness.write(self.folder / state_name(weights), drawn)
            self._say(f"Snapshot of iteration {self.iteration} is whole")
            self.on_progress(Snapshot(self.iteration, self.folder / weights))
        return self.folder / weights

    def restore(self, path: Path) -> None:
        """Resume from a solverstate of either engine, with the LMDB positions and random state if they were saved.

        Raises
        ------
        EmotiwError
            If it, or the caffemodel that it names, is missing or of another net or type of solver.
        """
        self._say(f"Restoring previous solver status from {path}")
        saved = read_snapshot(path, self.folder, self.net, self.update.history)
        self.iteration, self.policy.step = saved.iteration, saved.step
        if self.randomness:
            self._say(self.randomness.restore(path))

    def apply_update(self) -> None:
        """Update the weights by the current gradients, and count the iteration."""
        rate = self.policy.rate(self.iteration)
        if self._due(self.param.display):
            self._say(f"Iteration {self.iteration}, lr = {rate:g}")
        self.update.apply(rate, self.iteration)
        self.iteration += 1

    def _iterate(self) -> None:
        self._clear_gradients()
        if self._due(self.param.test_interval) and (self.iteration or self.param.test_initialization):
            self.test_all()
            if self._stopped:
                return
        for callback in self.on_start:
            callback()
        passes = [self._forward_backward(k + 1 == self.param.iter_size) for k in range(self.param.iter_size)]
        self._losses.add(self.iteration, self.together.mean(torch.stack(passes).mean()))
        if self._due(self.param.display):
            self._display()
            for line in described("Train", self.net, outputs(self.net)):
                self._say(line)
        for callback in self.on_gradients_ready:
            callback()
        self.apply_update()
        request = self.together.agreed(self.request())
        if self._due(self.param.snapshot) or request is Request.SNAPSHOT:
            self.snapshot()
        self._stopped = request is Request.STOP

    def _clear_gradients(self) -> None:
        for one in self.net.learnable:
            one.blob.grad = None

    def _forward_backward(self, last: bool) -> Tensor:
        with memory_advice(self.net, self.param.iter_size), self.together.passing(self.net, last) as forward:
            loss = forward()
            self.net.backward(loss)
        return loss.detach()

    def _say(self, line: str) -> None:
        if self.together.leads:
            self.log(line)

    def _display(self) -> None:
        loss = Loss(self.iteration, self._losses.mean)
        self._say(f"Iteration {loss.iteration}, loss = {loss.loss:g}")
        if self.together.leads:
            self.on_progress(loss)

    def _due(self, interval: int) -> bool:
        return interval > 0 and self.iteration % interval == 0

    def _interrupted(self) -> bool:
        """Return whether a stop was requested; carry out requests for snapshots."""
        while (request := self.request()) is not Request.NONE:
            if request is Request.SNAPSHOT:
                self.snapshot(by_all=False)
            self._stopped |= request is Request.STOP
        return self._stopped
