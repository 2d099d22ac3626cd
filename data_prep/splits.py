"""Assign images to splits: seeded, by class or by group."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from emotiw.errors import UsageError

from .image_list import Image

SPLITS = ("train", "val", "test")
"""The splits of a set."""

_NO_PIXELS: Mapping[str, str] = {}


def assign_splits(
    images: list[Image], fraction: float | None, seed: int, pixels: Mapping[str, str] = _NO_PIXELS
) -> list[Image]:
    """Return the images with their split named.

    Parameters
    ----------
    images
        Images of the source's own val and test splits stay there.
    fraction
        Fraction of the others, in (0, 1), that becomes `val`; None: all of them become `train`. If several images share
        a group, whole groups are drawn, so that no group is in both splits; else that fraction of every class. Images
        of equal pixels are never in both splits.
    seed
        Seed of the draw.
    pixels
        The digest of each image's pixels by its path, if it is known.

    Raises
    ------
    UsageError
        If `fraction` is not in (0, 1), selects none or all of the images, or the source has a validation split.
    """
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(f"--val {fraction} is not a fraction: give a number between 0 and 1, such as 0.2")
    chosen: set[str] = set()
    if fraction:
        if any(image.split == "val" for image in images):
            raise UsageError(
                "--val: the source already has a validation split: leave --val out, or give that split another role by "
                "--splits, such as train=train,validation=test"
            )
        free = [image for image in images if image.split != "test"]
        if not free:
            raise UsageError("--val draws from training images, and all are of the test split: leave --val out")
        chosen = _draw(free, fraction, np.random.default_rng(seed), pixels)
        if not chosen:
            raise UsageError(f"--val {fraction} of so few images or groups is none: give a larger fraction")
        if len(chosen) == len(free):
            raise UsageError(f"--val {fraction} of so few images or groups is all of them: give a smaller fraction")
    return [replace(image, split="val" if image.path in chosen else image.split or "train") for image in images]


def _draw(images: list[Image], fraction: float, rng: np.random.Generator, pixels: Mapping[str, str]) -> set[str]:
    """Return the paths of the validation images."""
    grouped = len({image.group for image in images}) < len(images)
    # One pool of groups, or a pool of images for each class; a dict serves as an ordered set of names.
    pools: dict[int, dict[str, None]] = defaultdict(dict)
    units = _linked([(image.group if grouped else image.path, pixels.get(image.path, "")) for image in images])
    first: dict[str, int] = {}
    for image, unit in zip(images, units, strict=True):
        label = first.setdefault(unit, image.label)
        pools[0 if grouped else label][unit] = None
    drawn: set[str] = set()
    for _, pool in sorted(pools.items()):
        drawn.update(rng.permutation(np.array(list(pool), object))[: round(fraction * len(pool))])
    return {image.path for image, unit in zip(images, units, strict=True) if unit in drawn}


def _linked(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return, for each (name, digest), the first name in its group; equal names or known digests share a group."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    first: dict[str, str] = {}
    for name, digest in pairs:
        there, here = root(first.setdefault(digest, name) if digest else name), root(name)
        parent[here] = there
    return [root(name) for name, _ in pairs]


def shuffled(images: list[Image], seed: int) -> list[Image]:
    """Return the images in a seeded random order; Caffe's data layer always reads in the order of the keys."""
    # Deviation D17: one order, which every pass repeats.
    order = np.random.default_rng(seed).permutation(len(images))
    return [images[k] for k in order]
