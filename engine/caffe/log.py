"""Caffe's training log, line by line."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotiw.engine.events import Event, Loss, Snapshot

# "Iteration 20 (10.5 iter/s, 1.9s/20 iters), loss = 1.94"; before 1.0 there is no bracket, NVIDIA's solver.cpp has
# "(3.9 s)" at first, then "(2.3 iter/s, 21s/48 iter)", and after it "0.5/31ep, " where it knows the size of an epoch.
_LOSS = re.compile(r"Iteration (\d+)\b.*?, loss = ([-+.\w]+)")
# glog: severity, month and day (the year too, since 0.5), time, thread.
_THREAD = re.compile(r"[IWEF]\d{4,8} [\d:.]+\s+(\d+) ")
_STATE = re.compile(r"Snapshotting solver state to binary proto ?file (.*_iter_(\d+))\.solverstate")


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


def _thread(line: str) -> str:
    """Return the number of the thread that wrote a line; a line without glog's prefix has none."""
    match = _THREAD.match(line)
    return match[1] if match else ""
