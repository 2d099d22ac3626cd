"""The memory of this process."""

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h


@cache
def keep_freed_memory() -> None:
    """Have the C library keep freed memory for what comes next and is as large: the next pass, the next picture.

    Else it gives large blocks back and takes them anew, zeroed page by page: a quarter of the time of an iteration of
    VGG_S on a CPU, of whose 124 million weights each has a gradient, and a tenth of that of a picture in five
    representations. It holds for the whole process. Does nothing where there is no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
