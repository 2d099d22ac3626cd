"""Start the programs of a Caffe."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from emotiw.engine.child_process import Stream, leashed

from .find import Caffe


def start(
    caffe: Caffe,
    args: Sequence[str | Path],
    cwd: Path | None = None,
    stdout: Stream = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    *,
    program: Path | None = None,
    stdin: Stream = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `caffe ARGS...`, or another program of the same Caffe, on the leash.

    Parameters
    ----------
    caffe : Caffe
        Which one.
    args : sequence of str or Path
        What follows the program's name.
    cwd, stdout, stderr, stdin
        As in `subprocess.Popen`; unless told otherwise nothing is read.
    env : mapping, optional
        Additions to our own environment and to `caffe.environment`.
    program : Path, optional
        `caffe.python` or `caffe.tool(name)`, where it is not to be `caffe.program`.

    Returns
    -------
    subprocess.Popen
        The process, head of its own group; it dies with the thread that started it.
    """
    command = [program or caffe.program, *args]
    return leashed(command, cwd, stdout, stderr, {**caffe.environment, **(env or {})}, stdin)
