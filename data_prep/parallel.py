"""The same function over many items, in order, on several processes, with flat memory."""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from emotiw.engine.leash import die_with
from emotiw.errors import EmotiwError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in the items' order.

    Parameters
    ----------
    jobs
        Number of processes; 1 works in this one. At most four results a process wait to be taken, so memory stays flat
        however many items there are.

    Raises
    ------
    EmotiwError
        Where one of the processes was killed.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    # Spawned, not forked: OpenCV's and BLAS's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (os.getpid(),)) as pool:
        try:
            for item in items:
                with _deaf():
                    waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise EmotiwError("one of the --jobs was killed (out of memory?): go on with fewer --jobs") from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Let processes that start in this block never hear Ctrl-C: it is ours to handle, after the block."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _start_worker(parent: int) -> None:
    import cv2

    cv2.setNumThreads(1)
    die_with(parent)
