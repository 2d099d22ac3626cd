"""From images to what a net sees: Caffe's data_transformer.cpp, by batches."""

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

Places = tuple[Tensor, Tensor, Tensor]  # of each image: the crop's top and left, int64, and whether it is mirrored


class Transformer:
    """Crops, subtracts the mean, scales and mirrors images: ``(x - mean) * scale`` of a crop, then perhaps its mirror.

    A crop is at random in TRAIN, at floor((H - crop) / 2) in TEST; `mirror` tosses a coin for each image in any phase.

    Parameters
    ----------
    param
        Its mean_file is of the whole images' size, and is cropped with each; its mean_values are one, or one a channel.
    phase
        TRAIN or TEST.
    device
        Where it computes.
    seed
        Of its draws, which are made on the CPU and so are the same on every device; None: others each time.
    folder
        What a relative mean_file is relative to.

    Attributes
    ----------
    generator
        What it draws from.

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
        """Return the (C, H, W) that an image of that shape comes out with; refuse one that does not fit."""
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
        """Return what the net sees.

        Parameters
        ----------
        images : N of (C, H, W) uint8 or float32

        Returns
        -------
        (N, C, crop, crop) float32, or (N, C, H, W) where there is no crop; on the device.

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
        """Draw where each image is cropped, and whether it is mirrored: by its number alone, in batches of any size."""
        draws = torch.rand((len(shapes), 3), dtype=torch.float64, generator=self.generator)
        room = shapes[:, 1:] - (self._param.crop_size or shapes[:, 1:])
        tops, lefts = ((draws[:, :2] * (room + 1)).long() if self._random_crop else room // 2).unbind(1)
        return tops, lefts, (draws[:, 2] < 0.5) & self._param.mirror


def _mean_of(param: TransformationParameter, folder: Path) -> Blob:
    """Return the (C, H, W) mean image, or (1 or C, 1, 1) values, one of zero where there are none."""
    if not param.mean_file:
        return np.array(list(param.mean_value) or [0], np.float32).reshape(-1, 1, 1)
    path = folder / param.mean_file
    if not path.is_file():
        raise EmotiwError(f"{path}: no such mean_file")
    return read_mean(path)


def _spelt(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def _uploaded(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """Return images of one shape as they are, (N, C, H, W), on a GPU."""
    kind = torch.uint8 if images[0].dtype == np.uint8 else torch.float32
    packed = torch.empty((len(images), *images[0].shape), dtype=kind, pin_memory=True)
    np.stack(images, out=packed.numpy())
    return packed.to(device, non_blocking=True)


def one_by_one(images: Sequence[Pixels], shape: Shape, places: Places, mean: Blob, scale: float) -> Tensor:
    """Transform images on the CPU, each while it is in the cache, by one thread: the net has need of the others."""
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
    """Transform images of one shape, (N, C, H, W): the same numbers in few steps, for a GPU."""
    tops, lefts, mirrored = (place.to(images.device, non_blocking=True).reshape(-1, 1) for place in places)
    rows = tops + torch.arange(shape[1], device=images.device)
    columns = lefts + torch.arange(shape[2], device=images.device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    pixels = (rows[:, :, None], columns[:, None, :])
    which = torch.arange(len(images), device=images.device)[:, None, None]
    cut = images.permute(0, 2, 3, 1)[which, *pixels]
    below = mean.expand(images.shape[1:]).permute(1, 2, 0)[pixels]
    return ((cut - below) * scale).permute(0, 3, 1, 2)
