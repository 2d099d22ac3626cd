"""Child processes that die with this process and do not receive Ctrl-C from the terminal.

Also a script, `python child_process.py PARENT PROGRAM ARGS...`: it asks the kernel for SIGKILL when the parent dies,
and then becomes PROGRAM. (A `preexec_fn` may deadlock in a process that has threads, and BLAS starts some.)
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import IO

Stream = int | IO[bytes] | None

# Variables that are meant for this process and would change a child's output or behaviour: what glog writes to the log
# that we read, and how Python starts (warnings that are errors, a prompt at the end, a report of every import).
_OURS = re.compile(
    r"GLOG_|GOOGLE_(ALSO)?LOGTOSTDERR|"
    r"PYTHON(WARNINGS|INSPECT|VERBOSE|PROFILEIMPORTTIME|DEVMODE|DEBUG|OPTIMIZE|TRACEMALLOC|DUMPREFS)"
)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; the setting survives exec


def leashed(
    command: Sequence[str | Path],
    cwd: Path | None = None,
    stdout: Stream = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    stdin: Stream = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `command` in its own session; it is killed when the calling thread dies for whatever reason.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    cwd, stdout, stderr, stdin
        As in `subprocess.Popen`; by default the child's standard input is empty.
    env : mapping, optional
        Additions to `child_environment`.

    Returns
    -------
    subprocess.Popen
        The process, leader of its own group. If the program does not exist, it exits with 1 and a line on `stderr`.
    """
    leash = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
    return subprocess.Popen(
        [*leash, *command],
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=child_environment(env or {}),
        start_new_session=True,
    )


def child_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return our environment plus `more`, without variables that would change a child's output or behaviour."""
    return {name: value for name, value in os.environ.items() if not _OURS.match(name)} | dict(more)


@contextmanager
def running(child: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Yield `child`; when the block ends for whatever reason, `child` and its group have ended too."""
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()


@contextmanager
def ctrl_c_passed_on(child: subprocess.Popen[bytes]) -> Iterator[Event]:
    """Pass the first Ctrl-C on to `child` and its group, so that they can shut down; a second one does not wait.

    Yields
    ------
    threading.Event
        Set by the first Ctrl-C.
    """
    interrupted = Event()

    def handle(signum: int, frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGINT)

    if current_thread() is not main_thread():  # only the main thread receives Ctrl-C
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when this process's parent, the process `parent`, dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we could ask
        sys.exit(1)


def _become(parent: str, program: str, *args: str) -> None:
    die_with(int(parent))
    # A script's `&` starts processes that ignore SIGINT; our children must receive the SIGINT that we pass on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(program, [program, *args])  # noqa: S606
    except OSError as error:
        sys.exit(f"{program}: {error.strerror}")


if __name__ == "__main__":
    _become(*sys.argv[1:])
