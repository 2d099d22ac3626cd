"""Learning-rate policies: Caffe's SGDSolver::GetLearningRate."""

import math
from collections.abc import Callable, Mapping

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import SolverParameter


class Policy:
    """The learning rate by iteration: `base_lr`, as `lr_policy` changes it.

    Parameters
    ----------
    param
        Its `base_lr`, `lr_policy` and that policy's settings: `gamma`, `power`, `stepsize`, `stepvalue`, `max_iter`.

    Attributes
    ----------
    step
        How often `step` or `multistep` lowered the rate: Caffe's current_step, which a solverstate stores.

    Raises
    ------
    EmotiwError
        If Caffe has no such policy, or a setting is missing.
    """

    def __init__(self, param: SolverParameter) -> None:
        self._param, self.step = param, 0
        name = param.lr_policy
        if name not in RATES:
            raise EmotiwError(f"no lr_policy {name!r}: there are {', '.join(RATES)}")
        for field, least in NEEDED[name].items():
            if getattr(param, field) < least:
                raise EmotiwError(f"lr_policy {name!r} needs a {field} of {least} or more, not {getattr(param, field)}")

    def rate(self, iteration: int) -> float:
        """Return the rate of an iteration; `multistep` advances at most one step per call, as Caffe's does."""
        p = self._param
        if p.lr_policy == "step":
            self.step = iteration // p.stepsize
        elif p.lr_policy == "multistep":
            due = self.step < len(p.stepvalue) and iteration >= p.stepvalue[self.step]
            self.step += due
        try:
            return float(p.base_lr * RATES[p.lr_policy](p, iteration, self.step))
        except (ValueError, ArithmeticError):
            raise EmotiwError(f"lr_policy {p.lr_policy!r} has no rate at iteration {iteration}") from None


RATES: Mapping[str, Callable[[SolverParameter, int, int], float]] = {
    "fixed": lambda p, iteration, step: 1,
    "step": lambda p, iteration, step: math.pow(p.gamma, step),
    "exp": lambda p, iteration, step: math.pow(p.gamma, iteration),
    "inv": lambda p, iteration, step: math.pow(1 + p.gamma * iteration, -p.power),
    "multistep": lambda p, iteration, step: math.pow(p.gamma, step),
    "poly": lambda p, iteration, step: math.pow(1 - iteration / p.max_iter, p.power),
    # 1 / (1 + exp(-x)), without overflow.
    "sigmoid": lambda p, iteration, step: (1 + math.tanh(p.gamma * (iteration - p.stepsize) / 2)) / 2,
}
"""Functions from the settings, the iteration and the step to the factor of base_lr; `math.pow` is C's."""

# The settings that a policy needs, with their minimum.
NEEDED: Mapping[str, Mapping[str, int]] = {
    "fixed": {},
    "step": {"stepsize": 1, "gamma": 0},
    "exp": {"gamma": 0},
    "inv": {"gamma": 0},
    "multistep": {"gamma": 0},
    "poly": {"max_iter": 1},
    "sigmoid": {"stepsize": 1, "gamma": 0},
}
