"""How blobs lie in memory, for speed; their values know nothing of it."""

import ctypes
from functools import cache

import torch
from torch import Tensor

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h


def laid(blob: Tensor, layout: torch.memory_format) -> Tensor:
    """Return a blob, its memory in `layout` where it has four axes; the same one where it is so already."""
    return blob.contiguous(memory_format=layout) if blob.dim() == 4 else blob


@cache
def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next pass, whose blobs and gradients are as large.

    Else it gives large ones back and takes them anew, zeroed page by page: a quarter of the time of an iteration of
    VGG_S on a CPU, of whose 124 million weights each has a gradient. Does nothing where there is no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
