"""Training by the real `caffe train`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from emotiw.engine.events import Loss, OnProgress, check_finite
from emotiw.engine.leash import ctrl_c_passed_on, running
from emotiw.errors import EmotiwError

from .locate import Caffe
from .log import events
from .process import last_words, start


def train(
    caffe: Caffe,
    solver: Path,
    on_progress: OnProgress,
    weights: Path | None = None,
    resume: Path | None = None,
) -> None:
    """Run `caffe train` in the solver's folder; append what it says to `log.txt` there.

    Parameters
    ----------
    solver : Path
        solver.prototxt; its paths, the snapshots' too, are relative to its folder, so that folder may be moved.
    on_progress
        Called with every loss displayed and every snapshot that is whole.
    weights : Path, optional
        A caffemodel to start from: copied by layer name.
    resume : Path, optional
        A solverstate in the same folder to go on from.

    Raises
    ------
    DivergedError
        At the first loss that is not finite; Caffe is stopped without another snapshot.
    KeyboardInterrupt
        After Ctrl-C, once Caffe has written a snapshot and stopped; a second Ctrl-C does not wait.
    EmotiwError
        Where Caffe fails, with its own words.
    """
    arguments = ["train", f"--solver={solver.name}"]
    arguments += [f"--weights={weights.absolute()}"] if weights else []
    arguments += [f"--snapshot={resume.name}"] if resume else []
    arguments += [f"--gpu={caffe.gpu}"] if caffe.gpu else []
    folder = solver.parent
    with (
        (folder / "log.txt").open("ab+") as log,
        running(start(caffe, arguments, folder, subprocess.DEVNULL, subprocess.PIPE)) as process,
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
            raise EmotiwError(f"caffe train failed in {folder}: {words}")


def _copied(process: subprocess.Popen[bytes], log: IO[bytes]) -> Iterator[str]:
    """Yield the lines of the process's standard error, each copied to the log first."""
    assert process.stderr is not None
    while line := process.stderr.readline():
        log.write(line)
        log.flush()
        yield line.decode(errors="replace")
