"""Records as tensors on a device."""

from collections.abc import Generator, Iterable

import numpy as np
import torch
from torch import Tensor

from .records import Record, Records

Images = Tensor | list[Tensor]  # (N, C, H, W) uint8 or float32; or (C, H, W), of several sizes
Batch = tuple[Images, Tensor]  # and (N,) float32 labels


def batches(records: Records, size: int, device: torch.device) -> Generator[Batch]:
    """Yield an LMDB's batches without end, as tensors on the device; a GPU copies them there while the net computes."""
    read = records.batches(size)
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    try:
        for batch in read:
            images, labels = _packed(batch, pinned=stream is not None)
            if stream is not None:
                with torch.cuda.stream(stream):
                    images = _moved(images, device)
                    labels = labels.to(device)
                stream.synchronize()
            yield images, labels
    finally:
        read.close()


def _packed(batch: Iterable[Record], pinned: bool) -> Batch:
    images, labels = zip(*batch, strict=True)
    first = images[0]
    told = torch.tensor(labels, dtype=torch.float32)
    if any((image.shape, image.dtype) != (first.shape, first.dtype) for image in images):
        return [torch.from_numpy(image.copy()) for image in images], told
    kind = torch.uint8 if first.dtype == np.uint8 else torch.float32
    packed = torch.empty((len(images), *first.shape), dtype=kind, pin_memory=pinned)
    np.stack(images, out=packed.numpy())
    return packed, told


def _moved(images: Images, device: torch.device) -> Images:
    if isinstance(images, list):
        return [image.to(device) for image in images]
    return images.to(device, non_blocking=True)
