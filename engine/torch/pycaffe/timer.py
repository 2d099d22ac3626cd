"""`caffe.Timer`: the time between two calls."""

from time import perf_counter

import torch


class Timer:
    """Measures time; a GPU's work counts until it is done."""

    def __init__(self) -> None:
        self._begin, self._end = 0.0, 0.0

    def start(self) -> None:
        """Begin."""
        self._begin, self._end = _now(), 0.0

    def stop(self) -> None:
        """End."""
        self._end = _now()

    @property
    def ms(self) -> float:
        """Return the milliseconds from `start` to `stop`, or to now."""
        return ((self._end or _now()) - self._begin) * 1000 if self._begin else 0.0


def _now() -> float:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return perf_counter()
