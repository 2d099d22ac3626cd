"""The output of `caffe --version`, which also names the kernels that its OpenBLAS uses."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from emotiw.engine.child_process import child_environment

_PATIENCE = 600  # seconds, with nothing in the disk cache, on a machine that is busy
_KERNELS = {"OPENBLAS_VERBOSE": "2"}  # "Core: <kernels>"


def version_output(program: Path, environment: Mapping[str, str]) -> str:
    """Return the output and error output of `caffe --version`; empty if it fails.

    It takes as long as an answer of a small net, so each process runs it once for each environment.

    Parameters
    ----------
    program
        A `caffe` program.
    environment
        Additions to our environment that it needs.
    """
    return _version_output(program, frozenset(environment.items()))


@cache
def _version_output(program: Path, environment: frozenset[tuple[str, str]]) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            env=child_environment({**dict(environment), **_KERNELS}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
