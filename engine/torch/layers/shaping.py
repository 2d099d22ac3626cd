"""Layers that only copy or reshape: Concat, Slice, Split, Crop, Tile, Flatten, Reshape, Silence."""

from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from emotiw.errors import EmotiwError

from .layer import Layer, canonical


class Concat(Layer):
    """The bottoms concatenated along `axis`."""

    bottoms = (1, None)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return one blob."""
        p = self.param.concat_param
        axis = canonical(p.concat_dim if p.HasField("concat_dim") else p.axis, bottoms[0].dim())
        if len({(*bottom.shape[:axis], *bottom.shape[axis + 1 :]) for bottom in bottoms}) > 1:
            shapes = ", ".join(str(tuple(bottom.shape)) for bottom in bottoms)
            raise EmotiwError(f"its bottoms may differ only in axis {axis}: {shapes}")
        return [bottoms[0] if len(bottoms) == 1 else torch.cat(bottoms, axis)]


class Slice(Layer):
    """The bottom cut along `axis` at `slice_point`s, or in equal parts."""

    tops = (1, None)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return a blob for each top."""
        p, count = self.param.slice_param, len(self.param.top)
        axis = canonical(p.slice_dim if p.HasField("slice_dim") else p.axis, bottoms[0].dim())
        side, points = bottoms[0].shape[axis], list(p.slice_point)
        if not points and side % count == 0:
            points = [side // count * k for k in range(1, count)]
        sizes = [end - begin for begin, end in pairwise([0, *points, side])]
        if len(sizes) != count or min(sizes) < 1:
            raise EmotiwError(f"an axis of {side} is not cut in {count} at {points or 'equal distances'}")
        return list(torch.split(bottoms[0], sizes, axis))


class Split(Layer):
    """A copy of the bottom for each top; the gradient is the sum of theirs."""

    tops = (1, None)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return the bottom for each top."""
        return [bottoms[0].view_as(bottoms[0]) for _ in self.param.top]


class Crop(Layer):
    """The part of the first bottom that begins at `offset` and has the second's size, in the axes from `axis` on."""

    bottoms = (2, 2)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return one blob; the second bottom gets no gradient."""
        p, (image, like) = self.param.crop_param, bottoms
        axes = range(canonical(p.axis, image.dim()), image.dim())
        offsets = list(p.offset) or [0]
        offsets = offsets * len(axes) if len(offsets) == 1 else offsets
        if len(offsets) != len(axes):
            raise EmotiwError(f"offset is given once, or for each of {len(axes)} axes, not {len(offsets)} times")
        given = f"{tuple(image.shape)} cannot be cropped to {tuple(like.shape)} at {offsets} from axis {axes.start} on"
        if image.dim() != like.dim():
            raise EmotiwError(given)
        for axis, offset in zip(axes, offsets, strict=True):
            if offset + like.shape[axis] > image.shape[axis]:
                raise EmotiwError(given)
            image = image.narrow(axis, offset, like.shape[axis])
        return [image]


class Tile(Layer):
    """The bottom repeated `tiles` times along `axis`."""

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return one blob."""
        p = self.param.tile_param
        if p.tiles < 1:
            raise EmotiwError(f"tiles is 1 or more, not {p.tiles}")
        return [torch.cat([bottoms[0]] * p.tiles, canonical(p.axis, bottoms[0].dim()))]


class Flatten(Layer):
    """The axes from `axis` to `end_axis` flattened to one."""

    in_place = False

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return one blob."""
        p, axes = self.param.flatten_param, bottoms[0].dim()
        return [bottoms[0].flatten(canonical(p.axis, axes), canonical(p.end_axis, axes))]


class Reshape(Layer):
    """The `num_axes` axes from `axis` on, reshaped: 0 keeps the bottom's axis, -1 is inferred."""

    in_place = False

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return one blob."""
        p, shape = self.param.reshape_param, tuple(bottoms[0].shape)
        begin = p.axis if p.axis >= 0 else len(shape) + 1 + p.axis
        end = len(shape) if p.num_axes == -1 else begin + p.num_axes
        if not 0 <= begin <= end <= len(shape):
            raise EmotiwError(f"there are no {p.num_axes} axes from axis {p.axis} in a blob of {len(shape)} axes")
        wanted = list(p.shape.dim)
        if any(dim == 0 and begin + k >= len(shape) for k, dim in enumerate(wanted)):
            raise EmotiwError(
                f"its dims {wanted} copy axes that a blob of {len(shape)} axes from {begin} on does not have"
            )
        dims = [*shape[:begin], *(shape[begin + k] if dim == 0 else dim for k, dim in enumerate(wanted)), *shape[end:]]
        known, inferred = prod(dim for dim in dims if dim != -1), dims.count(-1)
        fits = inferred == 1 and known and bottoms[0].numel() % known == 0
        if not (fits or (inferred == 0 and known == bottoms[0].numel())):
            given = f"its reshape_param's dims are {wanted}" if wanted else "its reshape_param has no shape"
            raise EmotiwError(f"{given}, to which a blob of {shape} cannot be reshaped")
        return [bottoms[0].reshape(dims)]


class Silence(Layer):
    """Consumes blobs, so that they are not outputs of the net."""

    bottoms = (1, None)
    tops = (0, 0)

    def forward(self, *bottoms: Tensor) -> list[Tensor]:
        """Return nothing."""
        return []
