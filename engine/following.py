"""A training in a process of its own, while it runs: its log, and what it reports there."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from emotiw.errors import EmotiwError

from .events import Loss, OnProgress, check_finite
from .leash import ctrl_c_passed_on, running
from .log import LOG, events, last_words

_PAUSE = 0.02  # seconds between looks at what was said


def follow(
    start: "Callable[[IO[bytes]], subprocess.Popen[bytes]]", folder: Path, on_progress: OnProgress, name: str
) -> None:
    """Follow a training to its end, by the lines that it appends to `log.txt` in `folder`.

    It writes there by itself: what it said is not lost with us, and does not wait for us.

    Parameters
    ----------
    start
        Starts the process, with that file as its standard error; it stops in order, with a snapshot, at SIGINT.
    on_progress
        Called with every loss displayed and every snapshot that is whole.
    name
        What the process is called where it fails.

    Raises
    ------
    DivergedError
        At the first loss that is not finite; the process is stopped without another snapshot.
    KeyboardInterrupt
        After Ctrl-C, once the process has stopped; a second Ctrl-C does not wait.
    EmotiwError
        Where the process fails, with its own words.
    OSError
        Where it fails, and the disk has no room for its words.
    """
    with (
        (folder / LOG).open("ab", buffering=0) as written,
        (folder / LOG).open("rb") as log,
        _begun(log, written) as begin,  # before the start: it writes at once
        running(start(written)) as process,
        ctrl_c_passed_on(process) as interrupted,
    ):
        for event in events(_lines(process, log), folder):
            if isinstance(event, Loss):
                check_finite(event)
            on_progress(event)
        status = process.wait()
        if interrupted.is_set():
            raise KeyboardInterrupt
        if status != 0:
            _check_room(written, folder)
            log.seek(begin)  # what an earlier attempt complained of is past
            words = last_words(log.read().decode(errors="replace"), status)
            raise EmotiwError(f"{name} failed in {folder}: {words}")


@contextmanager
def _begun(log: IO[bytes], written: IO[bytes]) -> Iterator[int]:
    """Yield where the log ends, and so stands, without a line that a kill or a full disk cut off."""
    whole = log.read().rfind(b"\n") + 1
    written.truncate(whole)
    yield log.seek(whole)


def _check_room(written: IO[bytes], folder: Path) -> None:
    """Raise where the log takes no more: then the process could not say what it had no room for."""
    size = os.fstat(written.fileno()).st_size
    try:
        written.write(b"\n")
        written.truncate(size)  # a last line that was cut off is to stay one
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(folder / LOG)) from None


def _lines(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> Iterator[str]:
    """Yield the lines that the process writes, until it has ended."""
    line = b""
    while True:
        ended = process.poll() is not None  # asked first: then nothing comes behind what is read now
        while chunk := log.readline():
            line += chunk
            if line.endswith(b"\n"):
                yield line.decode(errors="replace")
                line = b""
        if ended:
            break
        time.sleep(_PAUSE)
    if line:
        yield line.decode(errors="replace")
