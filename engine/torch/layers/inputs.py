"""Layers without a bottom: Input, DummyData, and the ones that a source feeds."""

import torch
from torch import Generator, Tensor

from emotiw.engine.torch.fillers import fill
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .data_source import Classes, JudgingSource, Source
from .layer import Layer, Shape


class SourceLayer(Layer):
    """A layer without a bottom; its tops are stored in `values`, which others may write to.

    Attributes
    ----------
    top_shapes
        What it begins with.
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
        """Return what is stored."""
        return self.values


class Input(SourceLayer):
    """Blobs that the user sets; zero before."""

    def __init__(self, param: LayerParameter) -> None:
        super().__init__(param)
        shapes = [tuple(shape.dim) for shape in param.input_param.shape]
        if len(shapes) not in (1, len(param.top)):
            raise EmotiwError(f"{len(shapes)} shapes for {len(param.top)} tops")
        self.top_shapes = shapes * len(param.top) if len(shapes) == 1 else shapes


class DummyData(SourceLayer):
    """Blobs of fillers. Constant ones are filled once, so what is written to them stays; others anew at each pass."""

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
        """Fill all, and draw from `generator` from now on."""
        self._generator = generator
        self.values = [self._fill(k) for k in range(len(self._fillers))]

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Fill anew what is not constant."""
        for k, filler in enumerate(self._fillers):
            if filler.type != "constant":
                self.values[k].copy_(self._fill(k))
        return self.values

    def _fill(self, k: int) -> Tensor:
        return fill(self._fillers[k], self.top_shapes[k], self._generator)


class Data(SourceLayer):
    """A layer that a `Source` feeds: Data from an LMDB, MemoryData from arrays."""

    source: Source

    def begin(self, generator: Generator) -> None:
        """Nothing: each batch is as the source gives it."""

    def feed(self, source: Source) -> None:
        """Take batches from `source` from now on."""
        if len(source.shapes) < len(self.param.top):
            raise EmotiwError(f"its source gives {len(source.shapes)} blobs for {len(self.param.top)} tops")
        self.source = source
        self.top_shapes = source.shapes[: len(self.param.top)]

    def expect(self, classes: Classes) -> None:
        """Have the source refuse other labels, where it can."""
        if isinstance(self.source, JudgingSource):
            self.source.expected.append(classes)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the next batch."""
        return self.source.next()[: len(self.param.top)]
