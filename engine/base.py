"""The engine interface, and the progress events of a training."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError

from .settings import EngineSettings


@dataclass(frozen=True)
class Loss:
    """The training loss at an iteration."""

    iteration: int
    loss: float


@dataclass(frozen=True)
class Snapshot:
    """The weights of an iteration, complete on disk, with the solver's state in the same folder."""

    iteration: int
    weights: Path


Event = Loss | Snapshot
OnProgress = Callable[[Event], None]


class DivergedError(EmotiwError):
    """Losses or scores are not finite; `loss` is the first such loss of a training, None for scores."""

    def __init__(self, message: str, loss: Loss | None = None) -> None:
        super().__init__(message)
        self.loss = loss


def check_finite(loss: Loss) -> None:
    """Raise `DivergedError` if the loss is NaN or infinite."""
    if not math.isfinite(loss.loss):
        raise DivergedError(f"the loss is {loss.loss} at iteration {loss.iteration}", loss)


Blob = NDArray[np.float32]


class Scorer(ABC):
    """A net with its weights, loaded once, that scores batches; use it in a `with` statement.

    Parameters
    ----------
    net : Path
        A deploy.prototxt with one input.
    weights : Path
        A caffemodel. As always in Caffe, a layer that it does not name keeps its filler's values, without a warning.
    output : str or None
        The blob to return; None is the net's last output.

    Raises
    ------
    EmotiwError
        If a file is missing, or the engine refuses net, weights or batch.
    """

    def __init__(self, net: Path, weights: Path, output: str | None = "prob") -> None:
        for file in (net, weights):
            if not file.is_file():
                raise EmotiwError(f"{file}: no such file")
        self._net, self._weights, self._output = net, weights, output

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *exception: object) -> None: ...

    def scores(self, blob: Blob) -> Blob:
        """Return the net's output for one batch.

        Parameters
        ----------
        blob : float32 array, (N, 3, H, W)
            The net's input: BGR, minus the mean; N at least 1.

        Returns
        -------
        float32 array, (N, classes)
            The output blob, flattened after its first axis.
        """
        if blob.ndim != 4 or not len(blob):
            raise ValueError(f"a batch is N x channels x H x W with N >= 1, not {blob.shape}")
        return self._answer(np.ascontiguousarray(blob, np.float32))

    @abstractmethod
    def _answer(self, blob: Blob) -> Blob: ...


class Engine(Protocol):
    """A program that carries out prototxt files: trains, and scores."""

    @property
    def title(self) -> str:
        """Its name in runs and tables, with its precision unless that is Caffe's float32."""

    @property
    def version(self) -> str:
        """The version of the program that computes."""

    @property
    def settings(self) -> EngineSettings:
        """The settings from which `open_engine` opens this engine."""

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on GPUs."""

    def __str__(self) -> str:
        """Return the program and its version, for display."""

    def require(self, *, training: bool = False) -> None:
        """Raise `EmotiwError` if the device that it scores or trains on is not available."""

    def sharing(self, threads: int) -> "Engine":
        """Return the same engine, limited to this many cores."""

    def train(
        self, solver: Path, on_progress: OnProgress, weights: Path | None = None, resume: Path | None = None
    ) -> None:
        """Train in the solver's folder; append the log to `log.txt` there.

        Parameters
        ----------
        solver : Path
            solver.prototxt; its paths, including those of snapshots, are relative to its folder, so that folder may be
            moved.
        on_progress
            Called with each displayed loss and each complete snapshot.
        weights : Path, optional
            A caffemodel to start from: copied by layer name.
        resume : Path, optional
            A solverstate in the same folder to resume from; any engine may have written it.

        Raises
        ------
        DivergedError
            If a loss is not finite; no snapshot is written after it.
        KeyboardInterrupt
            If Ctrl-C is pressed, once a snapshot is written; a second Ctrl-C does not wait.
        EmotiwError
            If the training fails, with the program's own message.
        """

    def continues(self, state: Path) -> bool:
        """Return whether a training resumed from a solverstate ends as if it had never been interrupted.

        That requires its position in the LMDB and its random state, neither of which Caffe saves.
        """

    def scorer(self, net: Path, weights: Path, output: str | None = "prob") -> Scorer:
        """Return a scorer of a net; see `Scorer`."""
