"""The same function over many items, in order, on several threads, with flat memory; and work in the background.

Threads, as OpenCV, NumPy and hashlib let others run while they compute: a picture that goes from process to process is
copied three times, and processes need seconds to start.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 16  # results a thread that may wait to be taken


def in_order(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for each item, in the items' order.

    Parameters
    ----------
    jobs
        Number of threads, in which OpenCV has none of its own; 1 works in this one. At most 16 results a thread wait
        to be taken, so memory stays flat however many items there are.
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


class Behind:
    """Does one thing at a time in a thread of its own, while its owner goes on with the next."""

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(1, "behind")
        self._doing: Future[object] = self._pool.submit(lambda: None)  # so the thread is there before it is needed
        return self

    def do(self, work: Callable[[], object]) -> None:
        """Begin with `work` once what was begun before is done; what that raised is raised here."""
        self._doing.result()
        self._doing = self._pool.submit(work)

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Wait for what was begun last, and raise what it raised, where nothing else went wrong."""
        try:
            if kind is None:
                self._doing.result()
        finally:  # whatever comes, Ctrl-C too: nothing of it goes on when the block has ended
            wait([self._doing])
            self._pool.shutdown()
