"""Caffe's training log: read its lines, and follow a training by them; the torch engine writes the same."""

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
# "(3.9 s)" at first, then "(2.3 iter/s, 21s/48 iter)", and after it "0.5/31ep, " where it knows the size of an epoch.
_LOSS = re.compile(r"Iteration (\d+)\b.*?, loss = ([-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))(?=[\s,;)]|$)", re.IGNORECASE)
# glog: severity, month and day (the year too, since 0.5), time, thread.
_THREAD = re.compile(r"[IWEF]\d{4,8} [\d:.]+\s+(\d+) ")
# Caffe's caffe.cpp says the first; its Solver::Solve, and the torch engine, the second.
_RESTORED = re.compile(r"(?:Resuming|Restoring previous solver status) from .*_iter_(\d+)\.solverstate")
_STATE = re.compile(r"Snapshotting solver state to binary proto ?file (.*_iter_(\d+))\.solverstate")
# glog's prefix before a complaint, `F1123 14:43:19.358763  8394 common.cpp:66] `, and libprotobuf's.
_COMPLAINT = re.compile(r"^(?:[EF]\d{4,8} [\d:.]+\s+\d+ \S+\] |\[libprotobuf (?:ERROR|FATAL) [^]]+\] )(.+)")
_NOISE = re.compile(r"^(?:\*\*\* |\s|$|[IW]\d{4}|WARNING: Logging before)")
# Caffe prints the nets and solvers that it reads: `}`, `layer {`, `base_lr: 0.01`, `name: "x"`.
_PROTOTXT = re.compile(r"^(?:\}|\w+ \{|[a-z]\w*: (?:[-+.\w]+|\".*\"))\s*$")


def events(lines: Iterable[str], folder: Path) -> Iterator[Event]:
    """Yield what the lines of a log report; snapshots lie in `folder`.

    Caffe announces a snapshot before it writes it, so it is reported with the next line of the same thread: by then it
    is whole. The threads that read images ahead, or drive further GPUs, speak in between.
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
            announced, writer = Snapshot(int(match[2]), folder / f"{match[1]}.caffemodel"), thread


def losses(lines: Iterable[str]) -> dict[int, float]:
    """Return the losses by iteration that the log of several attempts tells.

    What an attempt told behind the snapshot that a later one began from is not on the way to the end: it is left out.
    """
    told: dict[int, float] = {}  # oldest first

    def drop_behind(iteration: int) -> None:
        while told and next(reversed(told)) > iteration:
            told.popitem()

    for line in lines:
        if match := _RESTORED.search(line):
            drop_behind(int(match[1]))
        elif match := _LOSS.search(line):
            drop_behind(int(match[1]) - 1)
            told[int(match[1])] = float(match[2])
    return told


def _thread(line: str) -> str:
    """Return the number of the thread that wrote a line; a line without glog's prefix has none."""
    match = _THREAD.match(line)
    return match[1] if match else ""


def last_words(log: str, status: int = 1) -> str:
    """Return what a program said last that tells why it ended, in one line.

    That is SIGKILL, which nobody raises in himself; else the complaints of glog and libprotobuf
    (`Check failed: ...`) without their prefixes; else the last line that is neither a stack trace, a progress report
    nor a net; else the signal or the exit status.

    Parameters
    ----------
    log : str
        All it wrote on standard error.
    status : int
        Its exit status; -N, or of a shell 128 + N, where signal N killed it.
    """
    lines = [line for line in log.splitlines() if "torch/distributed/" not in line]  # torchrun's own, of a worker's end
    complaints = [found[1] for line in lines if (found := _COMPLAINT.match(line))]
    told = [line for line in lines if not _NOISE.match(line) and not _PROTOTXT.match(line)]
    number = -status if status < 0 else status - 128
    if number == SIGKILL:
        return "killed by signal 9 (SIGKILL), perhaps by the kernel because memory ran out"
    killed = number in set(Signals)
    silent = f"killed by signal {number} ({Signals(number).name})" if killed else f"ended with {status}"
    heard = [] if killed and number != SIGABRT else told[-1:]
    return "; ".join(complaints[-2:]) or " ".join(heard) or silent


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
        If the process fails, with its own words.
    OSError
        If it fails, and the disk has no room for its words.
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
