"""Remove root's privilege to read and write everything from a command or a thread."""

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

# `before` a command, this starts it without the two privileges that override file modes.
ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all") if os.geteuid() == 0 else ()

_VERSION = 0x20080522  # linux/capability.h, _LINUX_CAPABILITY_VERSION_3
_DAC = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def modes_count() -> Iterator[None]:
    """Make file modes apply to this thread, even for root, while the block runs."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, before = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, before) == 0
    now = (ctypes.c_uint32 * 6)(*before)
    now[0] &= ~_DAC  # effective
    assert libc.capset(head, now) == 0
    try:
        yield
    finally:
        assert libc.capset(head, before) == 0


def ordinary(command: list[str]) -> list[str]:
    """Return a command that runs without the privileges to override file modes."""
    assert not ORDINARY or shutil.which(ORDINARY[0])
    return [*ORDINARY, *command]
