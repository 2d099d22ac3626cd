"""What a solver displays: the smoothed training loss (UpdateSmoothedLoss) and the scores of its test nets (Test)."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from math import isfinite

import torch
from torch import Tensor

from emotiw.engine.base import DivergedError, Loss, check_finite
from emotiw.engine.torch.net import Net
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


Scores = Mapping[str, Tensor]


def outputs(net: Net) -> dict[str, Tensor]:
    """Return the blobs that no layer of the net takes, by name, in Caffe's order."""
    return {name: net.blobs[name].detach().float() for name in net.outputs}


@torch.no_grad()
def mean_scores(net: Net, batches: int, interrupted: Callable[[], bool], iteration: int) -> tuple[Scores, float] | None:
    """Return the mean of each output over a number of batches, and the mean loss; None where it was interrupted.

    That is the score of a set only where it is a whole number of batches.

    Raises
    ------
    DivergedError
        If the loss is not finite: nothing beats a score that is no number, so Accuracy would be 1.
    """
    sums: dict[str, Tensor] = {}
    loss = torch.zeros((), device=net.device)
    for _ in range(batches):
        if interrupted():
            return None
        loss += net()
        for name, value in outputs(net).items():
            sums[name] = sums[name] + value if name in sums else value.clone()
    mean = loss.item() / batches
    if not isfinite(mean):
        raise DivergedError(f"the loss of a test is {mean} at iteration {iteration}", Loss(iteration, mean))
    return {name: total / batches for name, total in sums.items()}, mean


def described(kind: str, net: Net, scores: Scores) -> Iterator[str]:
    """Yield the lines in which Caffe logs outputs; `kind` is Train or Test."""
    number = 0
    for name, values in scores.items():
        weight = _loss_weight(net, name)
        for value in values.flatten().tolist():
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            yield f"    {kind} net output #{number}: {name} = {value:g}{loss}"
            number += 1


def _loss_weight(net: Net, name: str) -> float:
    """Return the weight in the loss of the last top of that name."""
    weights = [
        weight
        for layer in net.layers
        for top, weight in zip(layer.param.top, layer.loss_weights[: len(layer.param.top)], strict=True)
        if top == name
    ]
    return weights[-1]
