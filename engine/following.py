"""A training in a process of its own, while it runs: its log, and what it reports there."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from emotiw.errors import EmotiwError

from .events import Loss, OnProgress, check_finite
from .leash import ctrl_c_passed_on, running
from .log import events, last_words


def follow(process: "subprocess.Popen[bytes]", folder: Path, on_progress: OnProgress, name: str) -> None:
    """Follow a training to its end; append what it says on standard error, a pipe, to `log.txt` in `folder`.

    Parameters
    ----------
    process
        It stops in order, with a snapshot, at SIGINT.
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
    """
    with (
        running(process),
        (folder / "log.txt").open("ab+") as log,
        ctrl_c_passed_on(process) as interrupted,
    ):
        begin = log.tell()
        for event in events(_copied(process, log), folder):
            if isinstance(event, Loss):
                check_finite(event)
            on_progress(event)
        status = process.wait()
        if interrupted.is_set():
            raise KeyboardInterrupt
        if status != 0:
            log.seek(begin)  # what an earlier attempt complained of is past
            words = last_words(log.read().decode(errors="replace"), status)
            raise EmotiwError(f"{name} failed in {folder}: {words}")


def _copied(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> Iterator[str]:
    """Yield the lines of the process's standard error, each copied to the log first."""
    assert process.stderr is not None
    while line := process.stderr.readline():
        log.write(line)
        log.flush()
        yield line.decode(errors="replace")
