"""The records of an LMDB in the order in which Caffe's data_layer.cpp reads them."""

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from emotiw.engine.torch.layers.data_source import Classes
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import Colour, Pixels, damage_placed, parse, pixels, spelt
from emotiw.prototxt.formats.lmdb import environment
from emotiw.prototxt.formats.messages import Datum

Record = tuple[Pixels, int]  # (C, H, W), and its label
_MOST_THREADS = 8


@dataclass(frozen=True)
class Records:
    """An LMDB of Datums, read in the order of its keys, again and again, never shuffled.

    Attributes
    ----------
    path
        Its folder.
    colour
        How encoded images are decoded.
    rank, ranks
        Records with `number % ranks == rank` are read, where numbers count on over all epochs: as Caffe's solvers on
        several GPUs share them out.
    """

    path: Path
    colour: Colour = Colour.NATIVE
    rank: int = 0
    ranks: int = 1

    def first(self) -> Pixels:
        """Return the image of the first key; refuse an LMDB that has none."""
        with closing(self._datums()) as datums:
            return self._image(next(datums))

    def batches(self, size: int, expected: Sequence[Classes] = (), skipped: int = 0) -> Generator[list[Record]]:
        """Yield batches forever, after skipping `skipped` batches; refuse labels that are not in each of `expected`."""
        threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(threads) as pool, closing(self._datums(skipped * size)) as datums:
            while batch := list(islice(datums, size)):
                # OpenCV releases the GIL while it decodes; plain bytes would gain nothing.
                run = pool.map if batch[0][1].encoded else map
                images = run(self._image, batch)
                for classes in expected:
                    self._check(batch, classes)
                yield [(image, datum.label) for image, (_, datum) in zip(images, batch, strict=True)]

    def _datums(self, skipped: int = 0) -> Generator[tuple[bytes, Datum]]:
        """Yield our keys and Datums forever, after the skipped ones; records of other ranks are not copied."""
        number = skipped * self.ranks
        with environment(self.path) as opened, opened.begin(buffers=True) as transaction:
            while entries := opened.stat()["entries"]:
                for key, value in islice(transaction.cursor(), number % entries, None):
                    if number % self.ranks == self.rank:
                        yield self._datum(bytes(key), value)
                    number += 1
        raise EmotiwError(f"{self.path} is empty")

    def _datum(self, key: bytes, serialised: memoryview) -> tuple[bytes, Datum]:
        with damage_placed(self.path, key):
            return key, parse(serialised)

    def _image(self, record: tuple[bytes, Datum]) -> Pixels:
        key, datum = record
        with damage_placed(self.path, key):
            return pixels(datum, self.colour)

    def _check(self, batch: Sequence[tuple[bytes, Datum]], classes: Classes) -> None:
        for key, datum in batch:
            if datum.label not in classes:
                raise EmotiwError(
                    f"{spelt(self.path, key)} has label {datum.label}, which is none of the "
                    f"{classes.count} classes of layer {classes.layer!r}, 0 to {classes.count - 1}"
                )
