"""Run programs and measure their wall time, processor time and memory."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

import pyperf

from emotiw.engine.caffe.find import Caffe

PAUSE = 0.02  # seconds between two readings of the memory
_LAST = 500  # characters of a failed program's output


@dataclass(frozen=True)
class Spent:
    """Wall and processor seconds of a program, including the children for which it waited."""

    seconds: float
    cpu: float


@dataclass(frozen=True)
class Program:
    """A program with its arguments; its standard input is empty.

    Attributes
    ----------
    output
        The file for its standard output; None: discarded.
    env
        Additions to our own environment.
    status
        The expected exit status.
    """

    command: Sequence[str | Path]
    cwd: Path | None = None
    output: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    status: int = 0

    def run(self) -> Spent:
        """Run it, and return the time that it took."""
        begun = pyperf.perf_counter()
        with self._started() as child:
            _, status, usage = os.wait4(child.pid, 0)
            seconds = pyperf.perf_counter() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
        return Spent(seconds, usage.ru_utime + usage.ru_stime)

    def peak(self) -> int:
        """Run it, and return the largest sampled private memory of it and its descendants, in bytes."""
        most = 0
        with self._started() as child:
            while child.poll() is None:
                most = max(most, sum(map(memory, descendants(child.pid))))
                time.sleep(PAUSE)
        return most

    @contextmanager
    def _started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it; after the block it has ended in any case."""
        with TemporaryFile() as words, (self.output or Path(os.devnull)).open("wb") as output:
            env = {**os.environ, **self.env}
            child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=words, cwd=self.cwd, env=env
            )
            try:
                yield child
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            if child.returncode != self.status:
                words.seek(0)
                said = words.read().decode(errors="replace")[-_LAST:]
                raise SystemExit(f"{' '.join(map(str, self.command))} ended with {child.returncode}: {said}")


def memory(process: int) -> int:
    """Return a process's current private memory in bytes, without pages of files."""
    with suppress(OSError):  # it has ended
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        return sum(int(size) << 10 for size in re.findall(r"RssAnon:\s+(\d+) kB", status))
    return 0


def descendants(process: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parent = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def tool(caffe: Caffe, name: str) -> list[str | Path]:
    """Return the command of one of Caffe's tools, without the shell script of `emotiw caffe install`."""
    path = caffe.tool(name)
    if path.resolve().name != "run":
        return [path]
    asked: list[str | Path] = [caffe.python, "-c", "import sys; sys.stdout.write(open('/proc/self/cmdline').read())"]
    started = subprocess.run(asked, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    loader = started[: started.index("-c")]  # ld.so, its arguments, the Python
    return [*loader[:-1], Path(loader[-1]).with_name(name)]
