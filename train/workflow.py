"""Chains of our own commands, several side by side, each step done once."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from emotiw.engine.leash import leashed, running
from emotiw.errors import EmotiwError

_POLL = 0.2  # seconds


@dataclass(frozen=True)
class Step:
    """A command line `emotiw ARGUMENTS`, and the file or folder that is there when it is done."""

    arguments: tuple[str, ...]
    output: Path


def run_chains(
    chains: Mapping[str, Sequence[Step]], jobs: int, logs: Path, on_done: Callable[[str, Step], None]
) -> None:
    """Run every chain's steps in order, `jobs` chains at a time; what a step prints goes to `logs`/<chain>.log.

    A step whose output is there is passed over, so the same call goes on after an interruption. All steps end with
    this process, however it ends.

    Raises
    ------
    EmotiwError
        Where a step fails: with its own last line.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting = {name: [step for step in steps if not step.output.exists()] for name, steps in chains.items()}
    active: dict[str, tuple[Step, subprocess.Popen[bytes]]] = {}
    with ExitStack() as stack:
        while active or any(waiting.values()):
            for name in [name for name, steps in waiting.items() if steps and name not in active][: jobs - len(active)]:
                step = waiting[name].pop(0)
                active[name] = step, stack.enter_context(running(_start(step, logs / f"{name}.log", jobs)))
            time.sleep(_POLL)
            for name, (step, process) in list(active.items()):
                if process.poll() is None:
                    continue
                if process.returncode != 0:
                    raise EmotiwError(f"emotiw {' '.join(step.arguments)} failed: {_last_line(logs / f'{name}.log')}")
                del active[name]
                on_done(name, step)


def _start(step: Step, log: Path, jobs: int) -> subprocess.Popen[bytes]:
    """Start a step with its share of the cores; -P keeps a folder named emotiw in the current one from being it."""
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    with log.open("ab") as file:
        command = [sys.executable, "-P", "-m", "emotiw", *step.arguments]
        return leashed(command, stdout=file, stderr=file, env={"OPENBLAS_NUM_THREADS": str(threads)})


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing").removeprefix("emotiw: ")
