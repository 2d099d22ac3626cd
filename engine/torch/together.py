"""What a solver does with the others that train its net, where there are none: `parallel` is for several."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum

from torch import Tensor

from .net import Net


class Request(Enum):
    """What a user may ask for between iterations: Caffe's SolverAction. Of several the last one here counts."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    STOP = "stop"


class Alone:
    """A solver by itself.

    Attributes
    ----------
    leads
        Whether it is the one that tests, writes snapshots and tells of its progress.
    """

    leads = True

    def alike(self, tensors: Sequence[Tensor], numbers: Sequence[int]) -> list[int]:
        """Give tensors the values that the leader's have, in place, and return its numbers."""
        return list(numbers)

    def passing(self, net: Net, last: bool) -> AbstractContextManager[Callable[[], Tensor]]:
        """Return what runs a net forward, for as long as the pass goes on, backward too.

        After an iteration's last pass `grad` has the mean over all solvers of what their passes added up to.
        """
        return nullcontext(net)

    def mean(self, loss: Tensor) -> Tensor:
        """Return the mean over all solvers of a scalar."""
        return loss

    def agreed(self, request: Request) -> Request:
        """Return what is to be done by all, each of which asked for something."""
        return request
