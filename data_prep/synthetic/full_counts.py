"""Tiny drawn faces in as many files as CASIA-WebFace has, to rehearse its preparation in full."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.datasets import mark_as_drawn
from emotiw.data_prep.layouts.lfw import IN_LFW
from emotiw.files import whole_new

from .faces import draw_face
from .people import EXPRESSIONS, draw_identity

_SIDE, _BLOCK = 48, 8  # pixels; a JPEG codes each block of 8 x 8 apart
_STEP = 8  # levels by which a block differs for a bit; JPEG's rounding at this quality is smaller
_QUALITY = 90
_FACES = 300  # distinct drawings; each person is a tint of one of them

_PEOPLE, _IMAGES = 10_575, 494_414  # of CASIA-WebFace
_FEWEST = 2  # images of a person


def casia_counts(people: int = _PEOPLE, images: int = _IMAGES) -> dict[str, int]:
    """Return the number of images of each person, by the name of the folder; a few people have many images.

    The three people of LFW are among them. By default people and images are as many as CASIA-WebFace's; the
    distribution is exponential, not CASIA-WebFace's own.

    Examples
    --------
    >>> counts = casia_counts()
    >>> len(counts), sum(counts.values()), min(counts.values())
    (10575, 494414, 2)
    """
    names = sorted({*IN_LFW, *(f"{number:07d}" for number in range(45, 45 + people - len(IN_LFW)))})
    mean = images / people - _FEWEST
    quantiles = (-math.log((k + 0.5) / people) for k in range(people))
    counts = [_FEWEST + math.floor(mean * quantile) for quantile in quantiles]
    for k in range(images - sum(counts)):
        counts[k % people] += 1
    order = np.random.default_rng(0).permutation(people)
    return {name: counts[k] for name, k in zip(names, order, strict=True)}


def draw_tiny_identities(folder: Path, counts: Mapping[str, int], seed: int) -> None:
    """Write tiny pictures of people as `<folder>/<person>/<nnn>.jpg`; no two have equal pixels.

    They are variants of a few hundred drawn faces: half a million of them take minutes and 2 GB. A person is a face in
    a tint; an image adds a pattern of blocks, the binary digits of its number.

    Parameters
    ----------
    counts
        The number of images of each person, by name.

    Raises
    ------
    EmotiwError
        If the folder exists and is not empty.
    """
    faces = list(_faces(seed))
    rng = np.random.default_rng((seed, len(faces)))
    number = 0
    with whole_new(folder) as partial:
        for person, (name, count) in enumerate(counts.items()):
            tint = rng.uniform(0.6, 1, 3)
            face = np.asarray(faces[person % len(faces)] * tint, np.uint8)
            (partial / name).mkdir(parents=True)
            for image in range(1, count + 1):
                (partial / name / f"{image:03d}.jpg").write_bytes(_jpeg(face + _pattern(number)))
                number += 1


def _faces(seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield small faces, (_SIDE, _SIDE, 3), B, G, R, whose values leave room for the pattern."""
    for person in range(_FACES):
        rng = np.random.default_rng((seed, person))
        face = draw_face(draw_identity(rng), EXPRESSIONS["Neutral"], rng)
        small = cv2.resize(face[..., ::-1], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        yield np.minimum(small, 255 - 2 * _STEP)


def _pattern(number: int) -> NDArray[np.uint8]:
    """Return the binary digits of a number, a block of pixels each, (_SIDE, _SIDE, 1)."""
    side = _SIDE // _BLOCK
    bits = np.array([number >> k & 1 for k in range(side * side)], np.uint8).reshape(side, side)
    return np.kron(bits * np.uint8(_STEP), np.ones((_BLOCK, _BLOCK), np.uint8))[..., None]


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return mark_as_drawn(data)
