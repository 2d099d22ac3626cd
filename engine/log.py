"""Caffe's training log, line by line; the torch engine writes the same."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from signal import SIGKILL

from .events import Event, Loss, Snapshot

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

    That is the complaints of glog and libprotobuf (`Check failed: ...`) without their prefixes; else the last line
    that is neither a stack trace nor a progress report; else the exit status.

    Parameters
    ----------
    log : str
        All it wrote on standard error.
    status : int
        Its exit status; -N where signal N killed it.
    """
    lines = [line for line in log.splitlines() if "torch/distributed/" not in line]  # torchrun's own, of a worker's end
    complaints = [found[1] for line in lines if (found := _COMPLAINT.match(line))]
    told = [line for line in lines if not _NOISE.match(line)]
    silent = "killed (out of memory?)" if status == -SIGKILL else f"ended with {status}"
    return "; ".join(complaints[-2:]) or " ".join(told[-1:]) or silent
