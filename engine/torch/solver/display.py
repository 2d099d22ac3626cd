"""The smoothed training loss (Caffe's UpdateSmoothedLoss) and the scores of test nets (Test), as displayed."""

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
    """The mean loss over the last iterations.

    Fetching a number from a GPU waits for its queue, so losses stay on the GPU until one is needed, or there are 20.

    Parameters
    ----------
    window
        The number of iterations: `average_loss`; 1 or more.
    """

    def __init__(self, window: int) -> None:
        if window < 1:
            raise EmotiwError(f"average_loss is {window}: it is 1 or more")
        self._last: deque[float] = deque(maxlen=window)
        self._pending: list[tuple[int, Tensor]] = []

    def add(self, iteration: int, loss: Tensor) -> None:
        """Add the loss of an iteration, a scalar; may raise as `check` does."""
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
        """Return the mean over the window."""
        self.check()
        return sum(self._last) / len(self._last)


Scores = Mapping[str, Tensor]


def outputs(net: Net) -> dict[str, Tensor]:
    """Return the blobs that no layer of the net takes, by name, in Caffe's order."""
    return {name: net.blobs[name].detach().float() for name in net.outputs}


@torch.no_grad()
def mean_scores(net: Net, batches: int, interrupted: Callable[[], bool], iteration: int) -> tuple[Scores, float] | None:
    """Return the mean of each output over a number of batches, and the mean loss; None if interrupted.

    This is the score of a set only if the set is a whole number of batches.

    Raises
    ------
    DivergedError
        If the loss is not finite: no score compares greater than a NaN, so Accuracy would be 1.
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
    """Yield the lines of Caffe's log for the outputs; `kind` is Train or Test."""
    number = 0
    for name, values in scores.items():
        weight = _loss_weight(net, name)
        for value in values.flatten().tolist():
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            yield f"    {kind} net output #{number}: {name} = {value:g}{loss}"
            number += 1


def _loss_weight(net: Net, name: str) -> float:
    """Return the loss weight of the last top of that name."""
    weights = [
        weight
        for layer in net.layers
        for top, weight in zip(layer.param.top, layer.loss_weights[: len(layer.param.top)], strict=True)
        if top == name
    ]
    return weights[-1]
