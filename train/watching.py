"""A workflow while it runs: what is done, how far the rest is."""

import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from emotiw.bars import bar

from .progress import read_progress
from .snakemake import Step

_POLL = 0.5  # seconds


def watch(
    process: "subprocess.Popen[bytes]",
    folder: Path,
    pending: Iterable[Step],
    iterations: Mapping[Path, int],
    reached: Mapping[Path, int],
    say: Callable[[Step], object],
) -> None:
    """Follow a workflow until its process has ended.

    Parameters
    ----------
    pending
        The steps to do.
    iterations, reached
        How many a training's output takes, and how many are done already; other steps count nothing.
    say
        Is told every step that is done.
    """
    # By change, not by the clock: on a cluster other machines write these files.
    before = {step: (_stamp(folder / step.output), _stamp(_progress(folder, step))) for step in pending}
    done = dict(reached)
    nothing: tuple[int, ...] = ()
    with bar(nothing, "reproduce", sum(iterations.values()), "it", sum(done.values())) as shown:
        while before:
            ended = process.poll() is not None
            for step, (output, progress) in list(before.items()):
                if _stamp(folder / step.output) not in (None, output):
                    done[step.output] = iterations.get(step.output, 0)
                    del before[step]
                    shown.clear()
                    say(step)
                elif step.output in done and _stamp(_progress(folder, step)) not in (None, progress):
                    points = read_progress(_progress(folder, step))
                    done[step.output] = max((point.iteration for point in points), default=0)
            shown.update(sum(done.values()) - shown.n)
            if ended:
                return
            time.sleep(_POLL)
    process.wait()


def _progress(folder: Path, step: Step) -> Path:
    return folder / step.output.with_name("progress.csv")


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
