"""Where batches come from."""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

Shape = tuple[int, ...]


class Source(Protocol):
    """What feeds a Data layer.

    Attributes
    ----------
    shapes
        Of what `next` gives, one for each top: ``[(N, C, H, W), (N,)]``.
    """

    @property
    def shapes(self) -> list[Shape]:
        """Return the shapes of a batch."""
        ...

    def next(self) -> list[Tensor]:
        """Return the next batch, on any device: images as the net's input expects them (float32), then labels."""
        ...


OpenSource = Callable[[Any], Source]
"""From a Data layer's LayerParameter, its `phase` set, to what feeds it."""
