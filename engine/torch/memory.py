"""How blobs lie in memory, for speed; their values know nothing of it."""

import torch
from torch import Tensor


def laid(blob: Tensor, layout: torch.memory_format) -> Tensor:
    """Return a blob, its memory in `layout` where it has four axes; the same one where it is so already."""
    return blob.contiguous(memory_format=layout) if blob.dim() == 4 else blob
