"""Settings of the C library's malloc."""

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h


@cache
def keep_freed_memory() -> None:
    """Have the C library keep freed memory, which the next pass or image needs again.

    By default it returns large blocks to the system and gets them again, zeroed page by page. That costs a quarter of
    the time of an iteration of VGG_S on a CPU, with gradients for its 124 million weights, and a tenth of that of an
    image in five representations. The setting applies to the whole process. Without glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
