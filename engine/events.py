"""What a training run reports while it runs, the same from every engine."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emotiw.errors import EmotiwError


@dataclass(frozen=True)
class Loss:
    """The training loss at an iteration."""

    iteration: int
    loss: float


@dataclass(frozen=True)
class Snapshot:
    """The weights of an iteration, whole on disk, with the solver's state beside them."""

    iteration: int
    weights: Path


Event = Loss | Snapshot
OnProgress = Callable[[Event], None]


class DivergedError(EmotiwError):
    """Losses or scores are no finite numbers any more; `loss` is the first such loss, where a training's is one."""

    def __init__(self, message: str, loss: Loss | None = None) -> None:
        super().__init__(message)
        self.loss = loss


def check_finite(loss: Loss) -> None:
    """Raise `DivergedError` where the loss is NaN or infinite."""
    if not math.isfinite(loss.loss):
        raise DivergedError(f"the loss is {loss.loss} at iteration {loss.iteration}", loss)
