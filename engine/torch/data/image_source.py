"""Sources of ImageData layers, from lists of image files: Caffe's image_data_layer.cpp."""

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from emotiw.engine.torch.graph import PHASES
from emotiw.engine.torch.layers.data_source import Classes
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import Pixels
from emotiw.prototxt.formats.image_codec import RefusedPictureError, imdecode
from emotiw.prototxt.formats.layer_parameters import ImageDataParameter
from emotiw.prototxt.formats.messages import LayerParameter

from .datum_reader import Record
from .file_list import order, read_list
from .read_options import DEFAULTS, ReadOptions
from .transformed_source import TransformedSource
from .transformer import Transformer

_MOST_THREADS = 8


@dataclass(frozen=True)
class ImageList:
    """The images of a list.

    Attributes
    ----------
    path, entries
        The list, and its paths and labels.
    folder
        Relative paths begin here.
    param
        Its root_folder is put before each path; new_height, new_width and is_color say how images are decoded.
    generator
        Seeds the order of each round, if that is shuffled, and `rand_skip`.
    rank, ranks
        As for `Records`.
    """

    path: Path
    entries: Sequence[tuple[str, int]]
    folder: Path
    param: ImageDataParameter
    generator: torch.Generator
    rank: int = 0
    ranks: int = 1

    def first(self) -> Pixels:
        """Return the first image."""
        return self._image(next(self._numbers(0)))

    def batches(self, size: int, expected: Sequence[Classes] = (), skipped: int = 0) -> Generator[list[Record]]:
        """Yield batches forever, after skipping `skipped` batches; refuse labels that are not in each of `expected`."""
        numbers = self._numbers(skipped * size)
        threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(threads) as pool:
            while batch := list(islice(numbers, size)):
                for classes in expected:
                    self._check(batch, classes)
                images = pool.map(self._image, batch)
                yield [(image, self.entries[number][1]) for image, number in zip(images, batch, strict=True)]

    def _numbers(self, skipped: int) -> Iterator[int]:
        """Yield the numbers of our lines."""
        # Ranks draw different crops from seeds that count up, but share out one order.
        own = torch.Generator().manual_seed((self.generator.initial_seed() - self.rank) % 2**63)
        begin = int(torch.randint(self.param.rand_skip, (), generator=own)) if self.param.rand_skip else 0
        numbers = order(len(self.entries), own if self.param.shuffle else None, begin + skipped * self.ranks)
        return islice(numbers, self.rank, None, self.ranks)

    def _image(self, number: int) -> Pixels:
        """Return an image as Caffe's ReadImageToCVMat does: (C, H, W) uint8, blue, green, red, or grey."""
        import cv2

        param, name = self.param, self.param.root_folder + self.entries[number][0]
        try:
            image = imdecode((self.folder / name).read_bytes(), int(param.is_color))
        except (OSError, RefusedPictureError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise EmotiwError(f"{self.path}:{number + 1}: {name}: {reason}") from None
        if image is None:
            raise EmotiwError(f"{self.path}:{number + 1}: {name} is not an image that OpenCV reads")
        if param.new_height and param.new_width:
            image = cv2.resize(image, (param.new_width, param.new_height))
        return np.ascontiguousarray(np.atleast_3d(image).transpose(2, 0, 1), np.uint8)

    def _check(self, batch: Sequence[int], classes: Classes) -> None:
        for number in batch:
            label = self.entries[number][1]
            if label not in classes:
                raise EmotiwError(
                    f"{self.path}:{number + 1}: label {label} is none of the {classes.count} classes "
                    f"of layer {classes.layer!r}, 0 to {classes.count - 1}"
                )


class ImageSource(TransformedSource):
    """Batches for one ImageData layer.

    Parameters
    ----------
    param
        Of an ImageData layer, with its phase.
    options
        How this process reads it.

    Raises
    ------
    EmotiwError
        If the list cannot be read, or its first image does not fit the layer's transform_param.
    """

    def __init__(self, param: LayerParameter, options: ReadOptions = DEFAULTS) -> None:
        data = param.image_data_param
        if bool(data.new_height) != bool(data.new_width):
            raise EmotiwError("its image_data_param has new_height or new_width: Caffe takes both, or neither")
        if not data.batch_size:
            raise EmotiwError("its image_data_param has a batch_size of 0")
        transformer = Transformer(
            param.transform_param, PHASES[param.phase], options.device, options.seed, options.folder
        )
        path = options.folder / data.source
        images = ImageList(
            path, _entries(path), options.folder, data, transformer.generator, options.rank, options.ranks
        )
        super().__init__(images, transformer, data.batch_size, max(1, param.data_param.prefetch), options.device)


def _entries(path: Path) -> list[tuple[str, int]]:
    """Return the path and label of each line of a list: a path may have spaces."""
    entries = []
    for number, line in enumerate(read_list(path).split("\n"), 1):
        name, _, label = line.rstrip("\r").rpartition(" ")
        if not name or not label.removeprefix("-").isdecimal():
            raise EmotiwError(f"{path}:{number}: not an image's path, a space and a whole number, but {line!r}")
        entries.append((name, int(label)))
    return entries
