"""A process that ends within seconds after Ctrl-C or SIGTERM, whatever its threads do."""

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
    """After a signal, give the process `seconds` to end in order; then call `last` and end it.

    A thread waits for the signals, for the main thread, which runs their handlers, may hang. Once there was a signal
    nothing cancels it: what runs after this context is what may hang.

    Parameters
    ----------
    seconds
        How long an orderly end may take.
    last
        What is to be done in any case, within a second.
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
    """Wait for a signal, which comes as a byte; the end of the stream means that there is none."""
    with reader:
        while numbers := reader.recv(1):
            if numbers[0] in _SIGNALS:
                _end(seconds, last)


def _end(seconds: float, last: Callable[[], None]) -> None:
    try:
        time.sleep(seconds)
        for task in (last, _tell):
            ending = Thread(target=task, daemon=True)
            ending.start()
            ending.join(_LAST)
    finally:
        os._exit(130)


def _tell() -> None:
    """Say why the process ends; standard error may be a pipe that is full or broken."""
    with suppress(OSError):
        print("emotiw: interrupted", file=sys.stderr, flush=True)
