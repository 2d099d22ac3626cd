"""Run a function over many items, in order, on several threads, with bounded memory; run work in the background.

Threads suffice because OpenCV, NumPy and hashlib release the GIL while they compute. Between processes a picture would
be copied three times, and processes take seconds to start.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 16  # results per thread that are buffered


def in_order(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in the items' order.

    Parameters
    ----------
    jobs
        Number of threads, in which OpenCV starts none of its own; 1 uses the calling thread. At most 16 results per
        thread are buffered, so memory does not grow with the number of items.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(jobs, "prepare") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= _AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            cv2.setNumThreads(before)


class Background:
    """A background thread that does one task at a time while its owner prepares the next."""

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(1, "background")
        self._doing: Future[object] = self._pool.submit(lambda: None)  # starts the thread before it is needed
        return self

    def do(self, work: Callable[[], object]) -> None:
        """Wait for the previous task, raise its error if it failed, and start `work`."""
        self._doing.result()
        self._doing = self._pool.submit(work)

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Wait for the last task; raise its error if it failed, unless the block itself failed."""
        try:
            if kind is None:
                self._doing.result()
        finally:  # after Ctrl-C, too: no task runs when the block has ended
            wait([self._doing])
            self._pool.shutdown()
