"""Select OpenBLAS's kernels for processors that it does not know.

Debian 11's OpenBLAS 0.3.13 uses its oldest kernels on these, and Caffe trains three times slower than it could.
Newer versions select kernels by the processor's instruction sets, as is done here.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from emotiw.engine.caffe.version_output import version_output

CPUINFO = Path("/proc/cpuinfo")

_NAMED = "OPENBLAS_CORETYPE"

# From OpenBLAS's dynamic.c: kernels for x86-64 and the instruction sets they need, the best first.
_KERNELS = {
    "SkylakeX": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
    "Haswell": {"avx2", "fma"},
}
_OLDER = {"Prescott", "Core2", "Nehalem", "Sandybridge", "Barcelona", "Bobcat", "Bulldozer", "Opteron_SSE3"}


def kernel(program: Path, environment: dict[str, str], *, complete: bool = False) -> dict[str, str]:
    """Return the environment variables that make a Caffe's OpenBLAS use this processor's instruction sets.

    Parameters
    ----------
    program : Path
        A `caffe` program.
    environment : dict of str to str
        Additions to our environment that it needs.
    complete
        Whether its OpenBLAS has all kernels, so that the named one need not be tried.

    Returns
    -------
    dict of str to str
        `OPENBLAS_CORETYPE`; empty if that is already set, if OpenBLAS knows the processor or has no better kernel for
        it, or if another BLAS is used.
    """
    possible = _possible()
    if not possible or _NAMED in os.environ or _taken(program, environment) not in _OLDER:
        return {}
    for name in possible:
        named = {_NAMED: name}
        if complete or _taken(program, {**environment, **named}) == name:  # a build may lack some kernels
            return named
    return {}


def _possible() -> list[str]:
    """Return the kernels that this processor can run, the best first."""
    flags: set[str] = set()
    with suppress(OSError):
        line = re.search(r"^flags\s*:(.*)$", CPUINFO.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
        flags = set(line[1].split()) if line else flags
    return [name for name, needs in _KERNELS.items() if needs <= flags]


def _taken(program: Path, environment: dict[str, str]) -> str | None:
    """Return the kernel that OpenBLAS reports, None if it reports none."""
    core = re.search(r"^Core: ([A-Za-z0-9_]+)$", version_output(program, environment), re.MULTILINE)
    return core[1] if core else None
