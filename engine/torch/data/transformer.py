"""From images to a net's input, in batches: Caffe's data_transformer.cpp."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from emotiw.engine.torch.graph import Phase
from emotiw.engine.torch.layers.layer import Shape
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import Blob, read_mean
from emotiw.prototxt.formats.datum import Pixels
from emotiw.prototxt.formats.layer_parameters import TransformationParameter

Places = tuple[Tensor, Tensor, Tensor]  # for each image: the crop's top and left, int64, and whether it is mirrored


class Transformer:
    """Crops images, subtracts the mean, scales and perhaps mirrors them: ``(x - mean) * scale``.

    Crops are random in TRAIN, at floor((H - crop) / 2) in TEST; `mirror` mirrors each image with probability 1/2 in any
    phase.

    Parameters
    ----------
    param
        Its mean_file has the size of the whole images, and is cropped like them; there is one mean_value, or one per
        channel.
    phase
        TRAIN or TEST.
    device
        The device to compute on.
    seed
        Of its random numbers, which are drawn on the CPU and so are the same on every device; None: a random seed.
    folder
        The folder to which a relative mean_file is relative.

    Attributes
    ----------
    generator
        The random generator.

    Raises
    ------
    EmotiwError
        If the parameters contradict each other, or the mean cannot be read.
    """

    def __init__(
        self,
        param: TransformationParameter,
        phase: Phase,
        device: torch.device | str = "cpu",
        seed: int | None = None,
        folder: Path = Path(),
    ) -> None:
        self._param, self._random_crop, self._device = param, phase == "TRAIN", torch.device(device)
        self.generator = Generator()
        self.generator.manual_seed(self.generator.seed() if seed is None else seed)
        if param.mean_file and param.mean_value:
            raise EmotiwError("transform_param has a mean_file and mean_values: Caffe takes either")
        self._host_mean = _mean_of(param, folder)
        self._mean = torch.from_numpy(self._host_mean).to(self._device)

    def shape(self, image: Shape) -> Shape:
        """Return the output's (C, H, W) for an image of this shape; refuse one that does not fit."""
        crop = self._param.crop_size
        if crop > min(image[1:]):
            raise EmotiwError(f"an image of {_spelt(image)} is smaller than crop_size {crop}")
        if self._param.mean_file and self._host_mean.shape != image:
            mean = f"the mean {self._param.mean_file} of {_spelt(self._host_mean.shape)}"
            raise EmotiwError(f"an image of {_spelt(image)} does not fit {mean}: name the mean of this LMDB")
        if len(self._host_mean) not in (1, image[0]):
            raise EmotiwError(f"{len(self._host_mean)} mean_values for {image[0]} channels: one, or one for each")
        return (image[0], crop, crop) if crop else image

    def __call__(self, images: Sequence[Pixels]) -> Tensor:
        """Return the net's input.

        Parameters
        ----------
        images : N of (C, H, W) uint8 or float32

        Returns
        -------
        (N, C, crop, crop) float32, or (N, C, H, W) without a crop; on the device.

        Raises
        ------
        EmotiwError
            If an image does not fit the parameters, or the others of its batch.
        """
        shapes = [image.shape for image in images]
        wanted = {self.shape(shape) for shape in set(shapes)}
        if len(wanted) > 1:
            both = " and of ".join(sorted(map(_spelt, wanted)))
            raise EmotiwError(f"images of {both} in one batch: they must have one size, or a crop_size")
        (shape,) = wanted
        places = self._places(torch.tensor(shapes))
        if self._device.type == "cuda" and len({(image.shape, image.dtype) for image in images}) == 1:
            return all_at_once(_uploaded(images, self._device), shape, places, self._mean, self._param.scale)
        return one_by_one(images, shape, places, self._host_mean, self._param.scale).to(self._device)

    def _places(self, shapes: Tensor) -> Places:
        """Draw crops and mirrors; those of the n-th image do not depend on the size of the batches."""
        draws = torch.rand((len(shapes), 3), dtype=torch.float64, generator=self.generator)
        room = shapes[:, 1:] - (self._param.crop_size or shapes[:, 1:])
        tops, lefts = ((draws[:, :2] * (room + 1)).long() if self._random_crop else room // 2).unbind(1)
        return tops, lefts, (draws[:, 2] < 0.5) & self._param.mirror


def _mean_of(param: TransformationParameter, folder: Path) -> Blob:
    """Return the (C, H, W) mean image, or (1 or C, 1, 1) values; a single zero if there is no mean."""
    if not param.mean_file:
        return np.array(list(param.mean_value) or [0], np.float32).reshape(-1, 1, 1)
    path = folder / param.mean_file
    if not path.is_file():
        raise EmotiwError(f"{path}: no such mean_file")
    return read_mean(path)


def _spelt(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def _uploaded(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """Return images of one shape, unchanged, as (N, C, H, W) on a GPU."""
    kind = torch.uint8 if images[0].dtype == np.uint8 else torch.float32
    packed = torch.empty((len(images), *images[0].shape), dtype=kind, pin_memory=True)
    np.stack(images, out=packed.numpy())
    return packed.to(device, non_blocking=True)


def one_by_one(images: Sequence[Pixels], shape: Shape, places: Places, mean: Blob, scale: float) -> Tensor:
    """Transform images on the CPU, each while it is in the cache, in one thread: the net needs the others."""
    out = torch.empty((len(images), *shape))
    tops, lefts, mirrors = (place.tolist() for place in places)
    for image, slot, top, left, mirrored in zip(images, out.numpy(), tops, lefts, mirrors, strict=True):
        window = (slice(None), slice(top, top + shape[1]), slice(left, left + shape[2]))
        values = image[window].astype(np.float32)
        values -= np.broadcast_to(mean, image.shape)[window]
        if scale != 1:
            values *= np.float32(scale)
        slot[...] = values[..., ::-1] if mirrored else values
    return out


def all_at_once(images: Tensor, shape: Shape, places: Places, mean: Tensor, scale: float) -> Tensor:
    """Transform images of one shape, (N, C, H, W), in few steps, for a GPU; the values equal those of `one_by_one`."""
    tops, lefts, mirrored = (place.to(images.device, non_blocking=True).reshape(-1, 1) for place in places)
    rows = tops + torch.arange(shape[1], device=images.device)
    columns = lefts + torch.arange(shape[2], device=images.device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    pixels = (rows[:, :, None], columns[:, None, :])
    which = torch.arange(len(images), device=images.device)[:, None, None]
    cut = images.permute(0, 2, 3, 1)[which, *pixels]
    below = mean.expand(images.shape[1:]).permute(1, 2, 0)[pixels]
    return ((cut - below) * scale).permute(0, 3, 1, 2)
