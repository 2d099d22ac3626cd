"""Passes over more than a batch."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from .blobs import Array
from .passes import RunningNet

Arrays = Mapping[str, Array]


class BatchedNet(RunningNet):
    """A net that goes through arrays of any length."""

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Array) -> dict[str, Array]:
        """Run forward batch after batch, the last one filled up with zeros.

        Parameters
        ----------
        blobs
            What to return beside the outputs.
        **inputs : (N, ...) each
            All inputs.

        Returns
        -------
        dict
            (N, ...) for each blob.
        """
        made = [_copies(self.forward(blobs, **batch)) for batch in self._batch(inputs)]
        return _joined(made, len(next(iter(inputs.values()))))

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **given: Array
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run forward and backward batch after batch.

        Parameters
        ----------
        blobs, diffs
            What to return beside the outputs, and beside the inputs' gradients.
        **given : (N, ...) each
            All inputs, and the gradients of all outputs, or neither.

        Returns
        -------
        tuple
            (N, ...) for each blob, and for each gradient.
        """
        forward, backward = (
            self._batch({name: given[name] for name in names if name in given}) for names in (self.inputs, self.outputs)
        )
        made, returned = [], []
        nothing: dict[str, Any] = {}
        for batch, gradients in zip_longest(forward, backward, fillvalue=nothing):
            made.append(_copies(self.forward(blobs, **batch)))
            returned.append(_copies(self.backward(diffs, **gradients)))
        count = len(next(iter(given.values())))
        return _joined(made, count), _joined(returned, count)

    def _batch(self, arrays: Arrays) -> Iterator[dict[str, Any]]:
        """Yield what goes through the net at once."""
        size = next(iter(self.blobs.values())).shape[0]
        count = len(next(iter(arrays.values()))) if arrays else 0
        for first in range(0, count, size):
            batch = {name: np.asarray(array[first : first + size]) for name, array in arrays.items()}
            missing = size - min(size, count - first)
            yield {
                name: np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array
                for name, array in batch.items()
            }


def _copies(arrays: Arrays) -> dict[str, Array]:
    return {name: array.copy() for name, array in arrays.items()}


def _joined(batches: Sequence[Arrays], count: int) -> dict[str, Array]:
    """Return batches behind each other, without what filled up the last."""
    return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in (batches or [{}])[0]}
