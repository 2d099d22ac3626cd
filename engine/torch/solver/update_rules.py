"""The update rules of Caffe's solver types, for lists of tensors of the same shapes.

In the formulas w are the weights, g the gradients; rate and decay already include the blobs' multipliers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import SolverParameter

Tensors = list[Tensor]


@dataclass(frozen=True)
class Settings:
    """The settings of a rule.

    Attributes
    ----------
    param
        The SolverParameter.
    rate
        The policy's rate times the blobs' lr_mult.
    decay
        The L2 decay that the rule itself adds; zero if the gradients already include it.
    iteration
        The number of updates so far.
    """

    param: SolverParameter
    rate: float
    decay: float
    iteration: int


def _sgd(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """V = momentum V + rate (g + decay w); w -= V. The rate is inside V, so V keeps earlier iterations' rates."""
    (V,) = history
    if s.param.momentum:
        # torch's SGD has the rate outside V. With its rate set to 1, its 1 - dampening takes the place of Caffe's rate.
        torch._fused_sgd_(
            w,
            g,
            V,
            weight_decay=s.decay,
            momentum=s.param.momentum,
            lr=1.0,
            dampening=1 - s.rate,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        return
    # Without momentum torch does not update V.
    torch._foreach_add_(g, w, alpha=s.decay)
    torch._foreach_copy_(V, g)
    torch._foreach_mul_(V, s.rate)
    torch._foreach_sub_(w, V)


def _nesterov(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """V' = momentum V + rate g; w -= (1 + momentum) V' - momentum V, which is rate g + momentum V'."""
    (V,) = history
    torch._foreach_mul_(V, s.param.momentum)
    torch._foreach_add_(V, g, alpha=s.rate)
    torch._foreach_sub_(w, g, alpha=s.rate)
    torch._foreach_sub_(w, V, alpha=s.param.momentum)


def _adagrad(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """H += g^2; w -= rate g / (sqrt(H) + delta)."""
    (H,) = history
    torch._foreach_addcmul_(H, g, g)
    _descend(w, g, H, s.param.delta, s.rate)


def _rmsprop(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """H = rms_decay H + (1 - rms_decay) g^2; w -= rate g / (sqrt(H) + delta)."""
    (H,) = history
    _average(H, g, s.param.rms_decay)
    _descend(w, g, H, s.param.delta, s.rate)


def _adadelta(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """H = m H + (1 - m) g^2; u = g sqrt((delta + U) / (delta + H)); U = m U + (1 - m) u^2; w -= rate u; m: momentum."""
    H, U = history
    _average(H, g, s.param.momentum)
    u = list(torch._foreach_add(U, s.param.delta))
    torch._foreach_div_(u, torch._foreach_add(H, s.param.delta))
    torch._foreach_sqrt_(u)
    torch._foreach_mul_(u, g)
    _average(U, u, s.param.momentum)
    torch._foreach_sub_(w, u, alpha=s.rate)


def _adam(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """M = b1 M + (1 - b1) g; V = b2 V + (1 - b2) g^2; w -= rate sqrt(1 - b2^t) / (1 - b1^t) M / (sqrt(V) + delta).

    This is the form with epsilon-hat of the two in Adam's paper: `delta` is not corrected. b1 is `momentum`, b2
    `momentum2`.
    """
    M, V = history
    b1, b2, t = s.param.momentum, s.param.momentum2, s.iteration + 1
    torch._foreach_mul_(M, b1)
    torch._foreach_add_(M, g, alpha=1 - b1)
    _average(V, g, b2)
    _descend(w, M, V, s.param.delta, s.rate * sqrt(1 - b2**t) / (1 - b1**t))


def _average(mean: Tensors, x: Tensors, decay: float) -> None:
    """Update a running mean of x^2."""
    torch._foreach_mul_(mean, decay)
    torch._foreach_addcmul_(mean, x, x, value=1 - decay)


def _descend(w: Tensors, step: Tensors, squares: Tensors, delta: float, rate: float) -> None:
    """Update w -= rate step / (sqrt(squares) + delta)."""
    root = torch._foreach_sqrt(squares)
    torch._foreach_add_(root, delta)
    torch._foreach_addcdiv_(w, step, root, value=-rate)


@dataclass(frozen=True)
class Rule:
    """A solver type.

    Attributes
    ----------
    update
        Updates weights and histories in place.
    histories
        The number of history tensors for each blob.
    momentum
        Whether it takes a momentum.
    own_decay
        Whether it adds the L2 decay itself.
    fractions
        Its settings in [0, 1).
    """

    update: Callable[[Tensors, Tensors, list[Tensors], Settings], None]
    histories: int = 1
    momentum: bool = True
    own_decay: bool = False
    fractions: tuple[str, ...] = ()

    def check(self, param: SolverParameter) -> None:
        """Refuse settings that the rule does not take."""
        if param.momentum and not self.momentum:
            raise EmotiwError(f"a solver of type {param.type} takes no momentum: remove it")
        for name in self.fractions:
            if not 0 <= getattr(param, name) < 1:
                raise EmotiwError(f"{name} is {getattr(param, name):g}: it is at least 0 and less than 1")


RULES: Mapping[str, Rule] = {
    "SGD": Rule(_sgd, own_decay=True),
    "Nesterov": Rule(_nesterov),
    "AdaGrad": Rule(_adagrad, momentum=False),
    "RMSProp": Rule(_rmsprop, momentum=False, fractions=("rms_decay",)),
    "AdaDelta": Rule(_adadelta, histories=2),
    "Adam": Rule(_adam, histories=2, fractions=("momentum", "momentum2")),
}
"""The update rules by solver type."""
