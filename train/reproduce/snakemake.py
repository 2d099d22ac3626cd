"""Snakemake as our child process: list the steps, run them, follow their progress, report errors."""

import csv
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotiw.engine.child_process import Stream, leashed, running
from emotiw.errors import EmotiwError
from emotiw.extras import require
from emotiw.files import file_stamp
from emotiw.progress_bar import bar
from emotiw.train.progress import read_progress
from emotiw.train.run_folder import STAGES

from .workflow import ASKED, Options

_LOG = logging.getLogger(__name__)

SNAKEFILE = Path(__file__).with_name("Snakefile")
RULES = (*STAGES, "evaluate", "baseline", "table")  # of the Snakefile, in the order of their work
LOG = "snakemake.log"

# No lock: we hold one on the folder, Snakemake dies with this process, and a kill would leave its lock. Outputs that
# a kill left incomplete are made again. A changed Snakefile (the trigger "code") must not repeat days of training.
_ALWAYS = ("--nolock", "--rerun-incomplete", "--rerun-triggers", "mtime", "params", "input")


@dataclass(frozen=True)
class Step:
    """A file that the workflow makes.

    Attributes
    ----------
    output, log
        Paths relative to the reproduction's folder; the log may not exist.
    rule
        One of RULES.
    why
        Why it must be made, such as "missing"; empty if it is up to date.
    """

    output: Path
    rule: str
    log: Path
    why: str

    @property
    def split(self) -> str:
        """The split of the output; empty for a training."""
        return "" if self.rule in STAGES else self.output.stem.rpartition("_")[2]

    def __str__(self) -> str:
        row = self.output.parts[1] if self.rule in {*STAGES, "evaluate"} else ""
        return " ".join(filter(None, [self.rule, row, self.split]))


def steps(folder: Path) -> list[Step]:
    """Return all steps of the workflow that was laid out in `folder`, in any order.

    Raises
    ------
    EmotiwError
        If Snakemake is not installed, or reports an error.
    """
    with running(_snakemake(folder, ["--summary"], subprocess.PIPE, subprocess.PIPE)) as process:
        table, complaints = (stream.decode(errors="replace") for stream in process.communicate())
    if process.returncode:
        raise EmotiwError(f"Snakemake refuses: {last_words(complaints)}")
    return [
        Step(
            Path(row["output_file"]),
            row["rule"],
            Path(row["log-file(s)"]),
            row["status"] if row["plan"] == "update pending" else "",
        )
        for row in csv.DictReader(table.splitlines(), delimiter="\t")
    ]


def start(folder: Path, options: Options, target: str) -> subprocess.Popen[bytes]:
    """Start the workflow up to a target rule of the Snakefile, `options.jobs` steps at a time."""
    cores = str(options.jobs * options.threads)
    with (folder / LOG).open("ab") as log:
        return _snakemake(folder, ["--cores", cores, "--keep-going", target, *options.snakemake], log, log)


def _snakemake(folder: Path, arguments: Sequence[str], stdout: Stream, stderr: Stream) -> subprocess.Popen[bytes]:
    require("snakemake", "emotiw reproduce")
    what = ["--snakefile", str(SNAKEFILE), "--configfile", ASKED]
    return leashed([sys.executable, "-P", "-m", "snakemake", *what, *_ALWAYS, *arguments], folder, stdout, stderr)


def complaints(folder: Path, left: Iterable[Step], since: float) -> list[str]:
    """Return the last message of each step in `left` that ran since a time; if there is none, Snakemake's."""
    logs = {str(step): folder / step.log for step in left}
    said = [
        f"{name}: {last_words(_read(log))}"
        for name, log in logs.items()
        if log.is_file() and log.stat().st_mtime >= since and log.stat().st_size
    ]
    snakemakes = _read(folder / LOG)
    messages = re.findall(r"^ +message: (.+)", snakemakes, re.MULTILINE)  # from an executor, such as a cluster's
    return said or [f"Snakemake: {messages[-1] if messages else last_words(snakemakes)}"]


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def last_words(text: str) -> str:
    """Return the last line that is neither empty nor a progress bar, without our command's prefix."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip() and "%|" not in line]
    return lines[-1].removeprefix("emotiw: ") if lines else "no message"


_POLL = 0.5  # seconds


def watch(
    process: "subprocess.Popen[bytes]",
    folder: Path,
    pending: Iterable[Step],
    iterations: Mapping[Path, int],
    reached: Mapping[Path, int],
    began: float,
) -> None:
    """Follow a workflow until its process has ended; log every step when it is done, with the time.

    Parameters
    ----------
    pending
        The steps to do.
    iterations, reached
        The iterations of each training's output, and those that are done already.
    began
        The start time, in seconds since the epoch.
    """
    # Compare stamps with earlier ones, not with the clock: on a cluster other machines write these files.
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
                    _LOG.info(f"[{time.time() - began:6.0f} s] {step}")
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


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        return file_stamp(path)
    except OSError:
        return None
