"""Caffe's training log, line by line."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotiw.engine.events import Event, Loss, Snapshot

# "Iteration 20 (10.5 iter/s, 1.9s/20 iters), loss = 1.94"; older and NVIDIA's builds leave the bracket out or fill it
# otherwise.
_LOSS = re.compile(r"Iteration (\d+)\b.*?, loss = ([-+.\w]+)")
# The thread that reads the images ahead speaks in between, a snapshot's writing too.
_OTHER_THREAD = "Restarting data prefetching"
_STATE = re.compile(r"Snapshotting solver state to binary proto ?file (.*_iter_(\d+))\.solverstate")


def events(lines: Iterable[str], folder: Path) -> Iterator[Event]:
    """Yield what the lines of a log report; snapshots lie in `folder`.

    Caffe announces a snapshot before it writes it, so it is reported with the line after: by then it is whole.
    """
    announced: Snapshot | None = None
    for line in lines:
        if _OTHER_THREAD in line:
            continue
        if announced:
            yield announced
            announced = None
        if match := _LOSS.search(line):
            yield Loss(int(match[1]), float(match[2]))
        elif match := _STATE.search(line):
            announced = Snapshot(int(match[2]), folder / f"{match[1]}.caffemodel")
