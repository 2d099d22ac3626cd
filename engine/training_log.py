"""Caffe's training log: parse it, and follow a running training by it; the torch engine writes the same format."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGABRT, SIGKILL, Signals
from typing import IO

from emotiw.errors import EmotiwError

from .base import Event, Loss, OnProgress, Snapshot, check_finite
from .child_process import ctrl_c_passed_on, running

LOG = "log.txt"
"""Its name in a run folder."""

# "Iteration 20 (10.5 iter/s, 1.9s/20 iters), loss = 1.94"; before 1.0 there is no bracket, NVIDIA's solver.cpp has
# "(3.9 s)" at first, then "(2.3 iter/s, 21s/48 iter)", followed by "0.5/31ep, " if it knows the size of an epoch.
_LOSS = re.compile(r"Iteration (\d+)\b.*?, loss = ([-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))(?=[\s,;)]|$)", re.IGNORECASE)
# glog: severity, month and day (the year too, since 0.5), time, thread.
_THREAD = re.compile(r"[IWEF]\d{4,8} [\d:.]+\s+(\d+) ")
# Caffe's caffe.cpp logs the first; its Solver::Solve, and the torch engine, log the second.
_RESTORED = re.compile(r"(?:Resuming|Restoring previous solver status) from .*_iter_(\d+)\.solverstate")
_STATE = re.compile(r"Snapshotting solver state to (?:binary proto ?|HDF5 )file (.*_iter_(\d+))\.solverstate(\.h5)?")
# glog's prefix of an error, `F1123 14:43:19.358763  8394 common.cpp:66] `, and libprotobuf's.
_COMPLAINT = re.compile(r"^(?:[EF]\d{4,8} [\d:.]+\s+\d+ \S+\] |\[libprotobuf (?:ERROR|FATAL) [^]]+\] )(.+)")
_NOISE = re.compile(r"^(?:\*\*\* |\s|$|[IW]\d{4}|WARNING: Logging before)")
# Caffe prints the nets and solvers that it reads: `}`, `layer {`, `base_lr: 0.01`, `name: "x"`.
_PROTOTXT = re.compile(r"^(?:\}|\w+ \{|[a-z]\w*: (?:[-+.\w]+|\".*\"))\s*$")


def events(lines: Iterable[str], folder: Path) -> Iterator[Event]:
    """Yield the events in the lines of a log; snapshots are in `folder`.

    Caffe announces a snapshot before it writes it, so it is reported with the next line of the same thread: by then it
    is complete. Lines of threads that prefetch images or drive further GPUs may come in between.
    """
    announced: Snapshot | None = None
    writer = ""
    for line in lines:
        thread = _thread(line)
        if announced and thread == writer:
            yield announced
            announced = None
        if match := _LOSS.search(line):
            yield Loss(int(match[1]), float(match[2]))
        elif match := _STATE.search(line):
            announced, writer = Snapshot(int(match[2]), folder / f"{match[1]}.caffemodel{match[3] or ''}"), thread


def losses(lines: Iterable[str]) -> dict[int, float]:
    """Return the losses by iteration in a log of one or several attempts.

    Losses that an attempt logged after the snapshot that a later attempt resumed from do not belong to the run that
    finished: they are left out.
    """
    by_iteration: dict[int, float] = {}  # oldest first

    def drop_after(iteration: int) -> None:
        while by_iteration and next(reversed(by_iteration)) > iteration:
            by_iteration.popitem()

    for line in lines:
        if match := _RESTORED.search(line):
            drop_after(int(match[1]))
        elif match := _LOSS.search(line):
            drop_after(int(match[1]) - 1)
            by_iteration[int(match[1])] = float(match[2])
    return by_iteration


def _thread(line: str) -> str:
    """Return the number of the thread that wrote a line; a line without glog's prefix has none."""
    match = _THREAD.match(line)
    return match[1] if match else ""


def last_words(log: str, status: int = 1) -> str:
    """Return in one line why a program ended, from its log and exit status.

    That is SIGKILL, which no program raises in itself; else the errors of glog and libprotobuf
    (`Check failed: ...`) without their prefixes; else the last line that is neither a stack trace, a progress report
    nor a net; else the signal or the exit status.

    Parameters
    ----------
    log : str
        Everything that it wrote to standard error.
    status : int
        Its exit status; -N, or 128 + N from a shell, if signal N killed it.
    """
    # torchrun's own report of a worker's end is left out
    lines = [line for line in log.splitlines() if "torch/distributed/" not in line]
    complaints = [found[1] for line in lines if (found := _COMPLAINT.match(line))]
    words = [line for line in lines if not _NOISE.match(line) and not _PROTOTXT.match(line)]
    number = -status if status < 0 else status - 128
    if number == SIGKILL:
        return "killed by signal 9 (SIGKILL), perhaps by the kernel because memory ran out"
    killed = number in set(Signals)
    silent = f"killed by signal {number} ({Signals(number).name})" if killed else f"ended with {status}"
    heard = [] if killed and number != SIGABRT else words[-1:]
    return "; ".join(complaints[-2:]) or " ".join(heard) or silent


_PAUSE = 0.02  # seconds between two reads of the log


def follow(
    start: "Callable[[IO[bytes]], subprocess.Popen[bytes]]", folder: Path, on_progress: OnProgress, name: str
) -> None:
    """Follow a training to its end, by the lines that it appends to `log.txt` in `folder`.

    The process itself writes there: its log survives our death, and it never waits for us to read.

    Parameters
    ----------
    start
        Starts the process, with that file as its standard error; at SIGINT it must write a snapshot and stop.
    on_progress
        Called with each displayed loss and each complete snapshot.
    name
        The name of the process in error messages.

    Raises
    ------
    DivergedError
        If a loss is not finite; the process is stopped without another snapshot.
    KeyboardInterrupt
        If Ctrl-C is pressed, once the process has stopped; a second Ctrl-C does not wait.
    EmotiwError
        If the process fails, with its own message.
    OSError
        If it fails, and the disk has no room for its message.
    """
    with (
        (folder / LOG).open("ab", buffering=0) as written,
        (folder / LOG).open("rb") as log,
        _begun(log, written) as begin,  # before the start, because the process writes at once
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
            log.seek(begin)  # errors of earlier attempts do not count
            words = last_words(log.read().decode(errors="replace"), status)
            raise EmotiwError(f"{name} failed in {folder}: {words}")


@contextmanager
def _begun(log: IO[bytes], written: IO[bytes]) -> Iterator[int]:
    """Yield the log's end and seek to it, after removing a last line that a kill or a full disk cut off."""
    whole = log.read().rfind(b"\n") + 1
    written.truncate(whole)
    yield log.seek(whole)


def _check_room(written: IO[bytes], folder: Path) -> None:
    """Raise if the log cannot grow: then the process could not report that the disk is full."""
    size = os.fstat(written.fileno()).st_size
    try:
        written.write(b"\n")
        written.truncate(size)  # leaves a truncated last line as it was
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(folder / LOG)) from None


def _lines(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> Iterator[str]:
    """Yield the lines that the process writes, until it has ended."""
    line = b""
    while True:
        ended = process.poll() is not None  # polled before reading: if it has ended, nothing follows what is read now
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
