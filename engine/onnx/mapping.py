"""Grey, LBP codes and their colours as a graph: `lbp_mapping`, bit for bit, in float64 and in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from .graph import TO_END, Value


@dataclass(frozen=True)
class CodeMapping:
    """A mapping of faces by the colours of their LBP codes.

    Attributes
    ----------
    grey
        The weights of R, G and B.
    samples
        Each neighbour as a sum of pixels, in the order in which they are added: weight, row and column of each, as
        `lbp_mapping.codes.sample_terms` returns them; bit k of a code is neighbour k.
    radius
        The distance of the neighbours in pixels.
    threshold
        By how much a neighbour must exceed the centre for its bit to be set.
    colours : (256, 3) uint8
        The colour of each code: R, G, B.
    """

    grey: Sequence[float]
    samples: Sequence[Sequence[tuple[float, int, int]]]
    radius: int
    threshold: float
    colours: NDArray[np.uint8]

    def mapped(self, rgb: Value) -> Value:
        """Return the mapped image, (H - 2R, W - 2R, 3) uint8, of an (H, W, 3) uint8 one."""
        colours = rgb.graph.constant(self.colours, "colours")
        return colours.then("Gather", self.codes(self.greyed(rgb)), axis=0, name="mapped")

    def greyed(self, rgb: Value) -> Value:
        """Return the grey values, (H, W) float64: whole numbers, halves rounded up."""
        weights = rgb.graph.constant(np.array(self.grey, np.float64), "grey_weights")
        axis = rgb.graph.constant(np.array([2], np.int64))
        total = rgb.cast(np.float64).then("Mul", weights).then("ReduceSum", axis, keepdims=0)
        return (total + 0.5).then("Floor", name="grey")

    def codes(self, grey: Value) -> Value:
        """Return the LBP codes, (H - 2R, W - 2R) int32, of (H, W) float64 grey values."""
        centre = self._shifted(grey, self.radius, self.radius)
        bits: list[Value] = []
        for k, terms in enumerate(self.samples):
            sample = self._sample(grey, terms)
            bit = sample >= centre if self.threshold == 0 else sample - centre >= self.threshold
            bits.append(bit.cast(np.int32) * 2**k)
        return reduce(Value.__add__, bits)

    def _sample(self, grey: Value, terms: Sequence[tuple[float, int, int]]) -> Value:
        """Return a neighbour of every pixel; the sum is not reordered, since its rounding decides ties."""
        weighted = [
            pixel if weight == 1 else pixel * weight
            for weight, pixel in ((weight, self._shifted(grey, row, column)) for weight, row, column in terms)
        ]
        return reduce(Value.__add__, weighted)

    def _shifted(self, grey: Value, row: int, column: int) -> Value:
        """Return the pixels at a place in the window of 2R + 1 x 2R + 1 around each pixel that has all neighbours."""
        ends = [place - 2 * self.radius or TO_END for place in (row, column)]
        return grey.cut([0, 1], [row, column], ends)
