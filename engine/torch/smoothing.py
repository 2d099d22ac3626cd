"""The training loss as it is displayed: Caffe's UpdateSmoothedLoss."""

from collections import deque

import torch
from torch import Tensor

from emotiw.engine.base import Loss, check_finite
from emotiw.errors import EmotiwError

_MOST_PENDING = 20


class Losses:
    """The mean loss of the last iterations.

    To fetch a number from a GPU is to wait for it, so losses stay there until one is asked for, or there are 20.

    Parameters
    ----------
    window
        Over how many iterations: `average_loss`; 1 or more.
    """

    def __init__(self, window: int) -> None:
        if window < 1:
            raise EmotiwError(f"average_loss is {window}: it is 1 or more")
        self._last: deque[float] = deque(maxlen=window)
        self._pending: list[tuple[int, Tensor]] = []

    def add(self, iteration: int, loss: Tensor) -> None:
        """Take in the loss of an iteration, a scalar; it may raise as `check` does."""
        self._pending.append((iteration, loss))
        if loss.device.type == "cpu" or len(self._pending) == _MOST_PENDING:
            self.check()

    def check(self) -> None:
        """Raise `DivergedError` at the first loss that is not finite."""
        if not self._pending:
            return
        values = torch.stack([loss for _, loss in self._pending]).tolist()
        for (iteration, _), value in zip(self._pending, values, strict=True):
            check_finite(Loss(iteration, value))
            self._last.append(value)
        self._pending.clear()

    @property
    def mean(self) -> float:
        """Return the mean of those in the window."""
        self.check()
        return sum(self._last) / len(self._last)
