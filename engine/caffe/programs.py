"""Start the programs of a Caffe."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from emotiw.engine.child_process import Stream, leashed

from .find import Caffe

# Log to standard error only: else glog leaves a file in the temporary folder for each level of each process.
_GLOG = {"GLOG_logtostderr": "1"}


def start(
    caffe: Caffe,
    command: Sequence[str | Path],
    cwd: Path | None = None,
    stdout: Stream = None,
    stderr: Stream = None,
    stdin: Stream = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program of a Caffe in the environment that it needs; see `leashed`.

    Parameters
    ----------
    caffe : Caffe
        The Caffe.
    command : sequence of str or Path
        `caffe.program`, `caffe.python` or `caffe.tool(name)`, and its arguments.
    cwd, stdout, stderr, stdin
        As in `subprocess.Popen`; by default the child's standard input is empty.

    Returns
    -------
    subprocess.Popen
        The process, leader of its own group; it dies with the thread that started it.
    """
    return leashed(command, cwd, stdout, stderr, {**_GLOG, **caffe.environment}, stdin)
