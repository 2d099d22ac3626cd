"""Options that may make a net faster on a GPU; all are off, because none was measured on one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .layers.layer import Layer
from .layers.lrn import CompiledLRN


@dataclass(frozen=True)
class Tuning:
    """Options that change how a net is computed; its values change only by rounding.

    A `Setting` of a random state does not record them, so continue a training with the same ones.

    Attributes
    ----------
    channels_last
        Whether blobs with four axes have their channels last in memory, for which tensor cores have faster
        convolutions. On a CPU rounding errors are then three times as large: scores differ from Caffe's by more than
        1e-5.
    cudnn_benchmark
        Whether cuDNN tries its algorithms for each new shape and keeps the fastest. Repeated runs may then differ in
        rounding.
    compiled_lrn
        Whether LRN across channels is compiled by `torch.compile`, which is meant to give one kernel for each pass
        instead of 37 reads and writes of the blob. It needs Triton and a C compiler on a GPU, a C++ compiler on a CPU.
    """

    channels_last: bool = False
    cudnn_benchmark: bool = False
    compiled_lrn: bool = False

    @property
    def layout(self) -> torch.memory_format:
        """The memory format of blobs with four axes."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def layers(self) -> Mapping[str, type[Layer]]:
        """The classes that replace the usual layers, by type."""
        return {"LRN": CompiledLRN} if self.compiled_lrn else {}

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Set cuDNN's switch, for forward and backward passes in one thread; restore it afterwards."""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = self.cudnn_benchmark or before
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before


UNTUNED = Tuning()
