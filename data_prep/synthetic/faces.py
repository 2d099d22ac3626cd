"""Drawn faces of parametric people, for the demo and the tests: photographs may not be shipped.

A picture comes from an `Identity` (who), an `Expression` (what the face does) and a generator (pose, light, noise).
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.datasets import mark_as_drawn
from emotiw.errors import EmotiwError
from emotiw.files import whole_new

from .drawing import Canvas, paint
from .people import EXPRESSIONS, HEIGHT, WIDTH, Expression, Identity, draw_identity, vary

# The people of the two sets come from different random streams of a seed, so no person is in both.
_IDENTITIES, _EXPRESSIONS = 0, 1


def draw_identities(folder: Path, people: int, images: int, seed: int) -> None:
    """Write pictures of people at rest, in CASIA-WebFace's layout.

    `<folder>/<7 digits>/<nnn>.png`, `images` of each person. A person depends only on the seed and
    the person's number.

    Raises
    ------
    EmotiwError
        If the folder exists and is not empty, or a picture cannot be written.
    """
    with whole_new(folder) as partial:
        for person, identity, rng in _people(people, seed, _IDENTITIES):
            for image in range(1, images + 1):
                mood = EXPRESSIONS[rng.choice(list(EXPRESSIONS))]
                face = draw_face(identity, vary(mood, rng.uniform(0, 0.35), rng), rng)
                _write(partial / f"{person:07d}" / f"{image:03d}.png", face)


def draw_expressions(folder: Path, people: int, images: int, seed: int) -> None:
    """Write pictures of the seven expressions, in SFEW's layout.

    `<folder>/<Class>/<person>_<nnn>.png`, `images` of each person and class. The people are not those of
    `draw_identities`.

    Raises
    ------
    EmotiwError
        If the folder exists and is not empty, or a picture cannot be written.
    """
    with whole_new(folder) as partial:
        for person, identity, rng in _people(people, seed, _EXPRESSIONS):
            for name, expression in EXPRESSIONS.items():
                for image in range(1, images + 1):
                    face = draw_face(identity, vary(expression, rng.uniform(0.5, 1.1), rng), rng)
                    _write(partial / name / f"actor{person:04d}_{image:03d}.png", face)


def draw_face(identity: Identity, expression: Expression, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture of a person; the generator gives pose, background, light and noise.

    In this order: the parts painted large (uint8); shrunk; the skin's pores (float32, [0, 255]); the light; the
    sensor's noise; rounded to uint8.

    Returns
    -------
    (112, 96, 3) uint8
        RGB. The same person, expression and state of the generator give the same bytes.
    """
    canvas = Canvas.posed(rng)
    paint(canvas, identity, expression)
    pores = cv2.warpAffine(identity.pores, canvas.pose, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return _lit(canvas.shrunk() * pores[..., None], rng)


@cache
def _slopes() -> NDArray[np.float32]:
    """Return the slopes of a face's relief, (2, HEIGHT, WIDTH): to the right, and downwards."""
    y, x = (np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT, WIDTH])[:, None, None] / 2) / (WIDTH / 2)
    head = 0.9 * np.sqrt(2.2 - x**2 - 0.6 * y**2)
    nose = 0.2 * np.exp(-((x / 0.14) ** 2) - ((y - 0.12) / 0.26) ** 2)
    sockets = 0.1 * np.exp(-(((np.abs(x) - 0.37) / 0.2) ** 2) - ((y + 0.2) / 0.13) ** 2)
    down, right = np.gradient(head + nose - sockets, 2 / WIDTH)
    return -np.stack([right, down]).astype(np.float32)


def _lit(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture under a random light: direction, gain, gamma, tint; then the sensor's noise."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6)
    right, down = _slopes()
    shade = 1 + np.float32(strength * np.cos(angle)) * right + np.float32(strength * np.sin(angle)) * down
    gain = rng.uniform(0.6, 1.15) * (1 + rng.normal(0, 0.05, 3))
    light = np.clip(picture / 255 * np.maximum(shade, 0.1)[..., None] * gain.astype(np.float32), 0, 1)
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0.1, 0.6))
    exposed = 255 * light ** np.float32(rng.uniform(0.75, 1.35)) + noise
    return np.asarray(np.clip(np.rint(exposed), 0, 255), np.uint8)


def _people(people: int, seed: int, stream: int) -> Iterator[tuple[int, Identity, np.random.Generator]]:
    for person in range(1, people + 1):
        rng = np.random.default_rng((seed, stream, person))
        yield person, draw_identity(rng), rng


def _write(path: Path, face: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), face[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]):
        raise EmotiwError(
            f"{path}: the picture could not be written: check the disk space and the folder's permissions"
        )
    path.write_bytes(mark_as_drawn(path.read_bytes()))
