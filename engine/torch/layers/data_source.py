"""Where batches come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from emotiw.prototxt.formats.messages import LayerParameter

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Classes:
    """The labels that a layer takes: 0 to before `count`, and the one that it ignores.

    Attributes
    ----------
    layer
        Its name.
    """

    layer: str
    count: int
    ignored: int | None

    def __contains__(self, label: int) -> bool:
        return 0 <= label < self.count or label == self.ignored


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


@runtime_checkable
class JudgingSource(Source, Protocol):
    """A source that itself looks at its labels, while it is still known which record has them.

    Attributes
    ----------
    expected
        What they are to be in, each.
    """

    @property
    def expected(self) -> list[Classes]:
        """Return the list, to be added to."""
        ...


OpenSource = Callable[[LayerParameter], Source]
"""From a Data layer's LayerParameter, its `phase` set, to what feeds it."""
