"""What a test net scores: Caffe's Solver::Test."""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite

import torch
from torch import Tensor

from emotiw.engine.base import DivergedError, Loss

from .net import Net

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
        Where the loss is not finite: nothing beats a score that is no number, so Accuracy would be 1.
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
        for top, weight in zip(layer.param.top, layer.loss_weights, strict=False)
        if top == name
    ]
    return weights[-1]
