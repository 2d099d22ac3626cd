"""End the process within seconds after Ctrl-C or SIGTERM, even if threads hang."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

_LAST = 1.0  # seconds
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


@contextmanager
def deadline(seconds: float, last: Callable[[], None]) -> Iterator[None]:
    """After a signal, give the process `seconds` to shut down; then call `last` and end it.

    A thread waits for the signals, because the main thread, which runs their handlers, may hang. After a signal nothing
    cancels the deadline: the code that runs after this context may hang, too.

    Parameters
    ----------
    seconds
        The time allowed for an orderly shutdown.
    last
        Called in any case; it must return within a second.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno())
    Thread(target=_wait, args=(reader, seconds, last), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()


def _wait(reader: socket.socket, seconds: float, last: Callable[[], None]) -> None:
    """Wait for a signal, which arrives as a byte; the end of the stream means that there was none."""
    with reader:
        while numbers := reader.recv(1):
            if numbers[0] in _SIGNALS:
                _end(seconds, last)


def _end(seconds: float, last: Callable[[], None]) -> None:
    try:
        time.sleep(seconds)
        for task in (last, _print_reason):
            ending = Thread(target=task, daemon=True)
            ending.start()
            ending.join(_LAST)
    finally:
        os._exit(130)


def _print_reason() -> None:
    """Print why the process ends; standard error may be a full or broken pipe."""
    with suppress(OSError):
        print("emotiw: interrupted", file=sys.stderr, flush=True)
