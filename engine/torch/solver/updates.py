"""The weight update of an iteration: Caffe's sgd_solver.cpp and its other solver types.

The order of operations is ApplyUpdate's: clip the summed gradients, normalise them by `iter_size`, add the decay, then
apply the type's rule. Weights and gradients are changed in place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emotiw.engine.torch.params import Learnable
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import SolverParameter

from .update_rules import RULES, Settings

_REGULARIZATIONS: Mapping[str, Callable[[list[Tensor]], list[Tensor]]] = {
    "L2": lambda weights: weights,
    "L1": lambda weights: list(torch._foreach_sign(weights)),
}


@dataclass(frozen=True)
class _Group:
    """Blobs with the same multipliers, by their indices in `learnable`; they are updated together."""

    lr_mult: float
    decay_mult: float
    numbers: list[int]


class Update:
    """A solver's update rule, with its history of each blob.

    Parameters
    ----------
    param
        Its `type`, and the settings of that type.
    learnable
        The net's learned blobs; their gradients are in `blob.grad`, None if the loss does not depend on a blob.

    Attributes
    ----------
    history
        In Caffe's order: a tensor for each blob, then, for AdaDelta and Adam, a second one for each.
    ranks
        The number of ranks of whose gradients we have the mean: gradients are clipped as their sum would be.

    Raises
    ------
    EmotiwError
        If Caffe has no such solver or regularization, or the settings contradict each other.
    """

    def __init__(self, param: SolverParameter, learnable: Sequence[Learnable]) -> None:
        if param.type not in RULES:
            raise EmotiwError(f"no solver of type {param.type!r}: there are {', '.join(RULES)}")
        if param.regularization_type not in _REGULARIZATIONS:
            raise EmotiwError(f"no regularization_type {param.regularization_type!r}: there are L1, L2")
        if param.iter_size < 1:
            raise EmotiwError(f"iter_size is {param.iter_size}: it is 1 or more")
        self._param, self._learnable = param, learnable
        self._rule, self.ranks = RULES[param.type], 1
        self._rule.check(param)
        # The rule adds L2 in its own pass over the weights, to save one: VGG_S has half a gigabyte of them.
        self._own_decay = self._rule.own_decay and param.regularization_type == "L2"
        self.history = [torch.zeros_like(weight) for _ in range(self._rule.histories) for weight in self._weights]
        kinds = sorted({(one.lr_mult, one.decay_mult) for one in learnable})
        self._groups = [
            _Group(*kind, [k for k, one in enumerate(learnable) if (one.lr_mult, one.decay_mult) == kind])
            for kind in kinds
        ]

    @property
    def _weights(self) -> list[Tensor]:
        """Return the weights, which a net may have begun to share with another since the last update."""
        return [one.blob.detach() for one in self._learnable]

    @property
    def kept(self) -> list[Tensor]:
        """Return the tensors that persist between iterations: the weights and the history."""
        return [*self._weights, *self.history]

    @torch.no_grad()
    def apply(self, rate: float, iteration: int) -> None:
        """Update the weights by their gradients.

        Parameters
        ----------
        rate
            The policy's learning rate.
        iteration
            The number of updates so far.
        """
        gradients, updated = [_gradient(one.blob) for one in self._learnable], self._weights
        scale = self._scale(gradients)
        if isinstance(scale, Tensor) or scale != 1:
            torch._foreach_mul_(gradients, scale)
        count = len(updated)
        for group in self._groups:
            weights, given = ([tensors[k] for k in group.numbers] for tensors in (updated, gradients))
            history = [[self.history[first + k] for k in group.numbers] for first in range(0, len(self.history), count)]
            decay = self._param.weight_decay * group.decay_mult
            if decay and not self._own_decay:
                signed = _REGULARIZATIONS[self._param.regularization_type](weights)
                torch._foreach_add_(given, signed, alpha=decay)
            settings = Settings(self._param, rate * group.lr_mult, decay if self._own_decay else 0.0, iteration)
            self._rule.update(weights, given, history, settings)

    def _scale(self, gradients: list[Tensor]) -> Tensor | float:
        """Return the factor of the gradients: ClipGradients and Normalize."""
        share, clip = 1 / int(self._param.iter_size), float(self._param.clip_gradients)
        if clip < 0 or not gradients:
            return share
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) * self.ranks
        return torch.where(norm > clip, clip / norm, 1.0) * share


def _gradient(blob: torch.nn.Parameter) -> Tensor:
    """Return a blob's gradient, in its layout; zeros if there is none, as in Caffe."""
    if blob.grad is None:
        blob.grad = torch.zeros_like(blob)
    elif blob.grad.stride() != blob.stride():
        blob.grad = torch.empty_like(blob).copy_(blob.grad)
    return blob.grad
