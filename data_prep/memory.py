"""Memory that is kept for the next picture."""

import ctypes

# Of glibc's malloc.h. Both limits move by themselves until one is set.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT, _LARGEST = 128 << 20, 32 << 20  # bytes; the second is the most that glibc takes


def keep_freed_memory() -> None:
    """Let the C library keep what is freed; else it gives each picture's pages back, and the kernel clears new ones."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's alone
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
