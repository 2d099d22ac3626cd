"""The interface of data sources."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from emotiw.prototxt.formats.messages import LayerParameter

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Classes:
    """The labels that a layer accepts: 0 to `count` - 1, and the one that it ignores.

    Attributes
    ----------
    layer
        The layer's name.
    """

    layer: str
    count: int
    ignored: int | None

    def __contains__(self, label: int) -> bool:
        return 0 <= label < self.count or label == self.ignored


class Source(Protocol):
    """The source of a Data layer.

    Attributes
    ----------
    shapes
        The shapes of what `next` returns, one for each top: ``[(N, C, H, W), (N,)]``.
    """

    @property
    def shapes(self) -> list[Shape]:
        """Return the shapes of a batch."""
        ...

    def next(self) -> list[Tensor]:
        """Return the next batch, on any device: images as the net's input expects them (float32), then labels."""
        ...


@runtime_checkable
class JudgingSource(Source, Protocol):
    """A source that checks its labels itself, while it still knows which record each belongs to.

    Attributes
    ----------
    expected
        Each label must be in all of these.
    """

    @property
    def expected(self) -> list[Classes]:
        """Return the list, to which layers append."""
        ...


OpenSource = Callable[[LayerParameter], Source]
"""Opens the source of a Data layer, given its LayerParameter, with `phase` set."""
