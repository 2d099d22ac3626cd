"""The update rules of Caffe's solver types, each once, for lists of tensors of the same shapes.

Where w are the weights, g the gradients, and rate and decay already have the blobs' multipliers.
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
    """What a rule is given besides tensors.

    Attributes
    ----------
    param
        The SolverParameter.
    rate
        The policy's rate times the blobs' lr_mult.
    decay
        What the rule itself is to add, as L2 does; zero where the gradients have it already.
    iteration
        How many updates there were before.
    """

    param: SolverParameter
    rate: float
    decay: float
    iteration: int


def _sgd(w: Tensors, g: Tensors, history: list[Tensors], s: Settings) -> None:
    """V = momentum V + rate (g + decay w); w -= V. The rate is inside V, which so remembers the rates of its day."""
    (V,) = history
    if s.param.momentum:
        # torch's SGD has the rate outside. With a rate of 1 there, its 1 - dampening stands where Caffe's rate does.
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
    # Without momentum it leaves V alone.
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

    Of the paper's two forms the one with epsilon-hat: `delta` is not corrected. b1 is `momentum`, b2 `momentum2`.
    """
    M, V = history
    b1, b2, t = s.param.momentum, s.param.momentum2, s.iteration + 1
    torch._foreach_mul_(M, b1)
    torch._foreach_add_(M, g, alpha=1 - b1)
    _average(V, g, b2)
    _descend(w, M, V, s.param.delta, s.rate * sqrt(1 - b2**t) / (1 - b1**t))


def _average(mean: Tensors, x: Tensors, decay: float) -> None:
    """Take x^2 into a running mean."""
    torch._foreach_mul_(mean, decay)
    torch._foreach_addcmul_(mean, x, x, value=1 - decay)


def _descend(w: Tensors, step: Tensors, squares: Tensors, delta: float, rate: float) -> None:
    """Do w -= rate step / (sqrt(squares) + delta)."""
    root = torch._foreach_sqrt(squares)
    torch._foreach_add_(root, delta)
    torch._foreach_addcdiv_(w, step, root, value=-rate)


@dataclass(frozen=True)
class Rule:
    """A solver type.

    Attributes
    ----------
    update
        In place, of weights and histories.
    histories
        How many tensors it keeps of each blob.
    momentum
        Whether it takes one.
    own_decay
        Whether it adds L2's decay itself.
    fractions
        Its settings that are at least 0 and less than 1.
    """

    update: Callable[[Tensors, Tensors, list[Tensors], Settings], None]
    histories: int = 1
    momentum: bool = True
    own_decay: bool = False
    fractions: tuple[str, ...] = ()

    def check(self, param: SolverParameter) -> None:
        """Refuse settings that it does not take."""
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
"""The update rules, by the type of the solver."""
