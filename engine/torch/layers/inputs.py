"""Layers without a bottom: Input, DummyData, and layers that read a data source."""

import torch
from torch import Generator, Tensor

from emotiw.engine.torch.fillers import fill
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .data_source import Classes, JudgingSource, Source
from .layer import Layer, Shape


class SourceLayer(Layer):
    """A layer without a bottom; its tops are stored in `values`, which callers may write to.

    Attributes
    ----------
    top_shapes
        The initial shapes of its tops.
    """

    bottoms = (0, 0)
    tops = (1, None)

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        self.values: list[Tensor] = []
        self.top_shapes: list[Shape] = []

    def begin(self, generator: Generator) -> None:
        """Make the first `values`."""
        self.values = [torch.zeros(shape) for shape in self.top_shapes]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the stored values."""
        return self.values


class Input(SourceLayer):
    """Blobs that the user sets; zero until then."""

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        shapes = [tuple(shape.dim) for shape in param.input_param.shape]
        if len(shapes) not in (1, len(param.top)):
            raise EmotiwError(f"{len(shapes)} shapes for {len(param.top)} tops")
        self.top_shapes = shapes * len(param.top) if len(shapes) == 1 else shapes


class DummyData(SourceLayer):
    """Blobs of fillers: constant ones are filled once, so values written to them stay; others at each pass."""

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        dummy, count = param.dummy_data_param, len(param.top)
        fillers = list(dummy.data_filler) or [FillerParameter()]
        shapes: list[Shape] = [tuple(shape.dim) for shape in dummy.shape]
        shapes = shapes or list(zip(dummy.num, dummy.channels, dummy.height, dummy.width, strict=True))
        for given, what in ((fillers, "fillers"), (shapes, "shapes")):
            if len(given) not in (1, count):
                raise EmotiwError(f"{len(given)} {what} for {count} tops")
        self._fillers = fillers * count if len(fillers) == 1 else fillers
        self.top_shapes = shapes * count if len(shapes) == 1 else shapes

    def begin(self, generator: Generator) -> None:
        """Fill all blobs, and draw from `generator` from now on."""
        self._generator = generator
        self.values = [self._fill(k) for k in range(len(self._fillers))]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Refill the blobs that are not constant."""
        for k, filler in enumerate(self._fillers):
            if filler.type != "constant":
                self.values[k].copy_(self._fill(k))
        return self.values

    def _fill(self, k: int) -> Tensor:
        return fill(self._fillers[k], self.top_shapes[k], self._generator)


class Data(SourceLayer):
    """A layer that reads a `Source`: Data from an LMDB, MemoryData from arrays."""

    source: Source

    def begin(self, generator: Generator) -> None:
        """Do nothing: batches come from the source."""

    def feed(self, source: Source) -> None:
        """Take batches from `source` from now on."""
        if len(source.shapes) < len(self.param.top):
            raise EmotiwError(f"its source gives {len(source.shapes)} blobs for {len(self.param.top)} tops")
        self.source = source
        self.top_shapes = source.shapes[: len(self.param.top)]

    def expect(self, classes: Classes) -> None:
        """Have the source refuse other labels, if it can."""
        if isinstance(self.source, JudgingSource):
            self.source.expected.append(classes)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the next batch."""
        return self.source.next()[: len(self.param.top)]
