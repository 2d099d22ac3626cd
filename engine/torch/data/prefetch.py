"""A generator that runs ahead in a thread."""

import os
import weakref
from collections.abc import Callable, Generator
from queue import Empty, Queue
from threading import Event, Thread, current_thread
from typing import Generic, TypeVar

T = TypeVar("T")


class _Failed:
    """An exception of the thread."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Runs an endless generator in a thread, some items ahead, in order.

    The thread starts at the first `next`. It ends, and closes the generator, at `close`, when this object is
    garbage-collected, or when the program ends, whichever is first.

    Parameters
    ----------
    begin
        Makes the generator, in the thread; it must not refer to this object's owner.
    depth
        The largest number of items made ahead.
    """

    def __init__(self, begin: Callable[[], Generator[T]], depth: int) -> None:
        self._queue: Queue[T | _Failed] = Queue(depth)
        self._stop = Event()
        self._failed: _Failed | None = None
        self._pid = os.getpid()
        self._thread = Thread(target=_run, args=(begin, self._queue, self._stop), name="read ahead", daemon=True)
        self._end = weakref.finalize(self, _end, self._thread, self._queue, self._stop, self._pid)

    def next(self) -> T:
        """Return the next item, or raise the generator's exception, at this and every later call."""
        if os.getpid() != self._pid:
            raise RuntimeError("a prefetch thread does not survive a fork: open the source after the fork")
        if self._stop.is_set():
            raise RuntimeError("it is closed")
        if self._thread.ident is None:
            self._thread.start()
        if self._failed is None:
            item = self._queue.get()
            if not isinstance(item, _Failed):
                return item
            self._failed = item
        raise self._failed.error

    def close(self) -> None:
        """End the thread."""
        self._end()


def _run(begin: Callable[[], Generator[T]], queue: "Queue[T | _Failed]", stop: Event) -> None:
    items = begin()
    try:
        while not stop.is_set():
            queue.put(next(items))
    except BaseException as error:
        queue.put(_Failed(error))
    finally:
        items.close()


def _end(thread: Thread, queue: "Queue[T | _Failed]", stop: Event, pid: int) -> None:
    """Stop the thread, which may be waiting for room in the queue; it puts at most one more item there."""
    stop.set()
    if os.getpid() != pid:  # the thread does not exist in a forked process
        return
    try:
        while True:
            queue.get_nowait()
    except Empty:
        pass
    if thread.ident is not None and thread is not current_thread():  # garbage may be collected in that thread too
        thread.join()
