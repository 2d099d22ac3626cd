"""Start the programs of a Caffe, and tell in one line why one ended."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL

from emotiw.engine.leash import Stream, leashed

from .locate import Caffe

# glog's prefix, `F1123 14:43:19.358763  8394 common.cpp:66] `, and libprotobuf's.
_COMPLAINT = re.compile(r"^(?:[EF]\d{4,8} [\d:.]+\s+\d+ \S+\] |\[libprotobuf (?:ERROR|FATAL) [^]]+\] )(.+)")
_NOISE = re.compile(r"^(?:\*\*\* |\s|$|[IW]\d{4}|WARNING: Logging before)")


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


def last_words(log: str, status: int = 1) -> str:
    """Return what a Caffe program said last that tells why it ended, in one line.

    That is the complaints of glog and libprotobuf (`Check failed: ...`) without their prefixes; else the last line
    that is neither a stack trace nor a progress report; else the exit status.

    Parameters
    ----------
    log : str
        All it wrote on standard error.
    status : int
        Its exit status; -N where signal N killed it.
    """
    lines = log.splitlines()
    complaints = [found[1] for line in lines if (found := _COMPLAINT.match(line))]
    told = [line for line in lines if not _NOISE.match(line)]
    silent = "killed (out of memory?)" if status == -SIGKILL else f"ended with {status}"
    return "; ".join(complaints[-2:]) or " ".join(told[-1:]) or silent
