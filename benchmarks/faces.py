"""The faces for benchmarks: drawn, 250 x 250, as in CASIA-WebFace."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.synthetic.faces import draw_face
from emotiw.data_prep.synthetic.people import EXPRESSIONS, draw_identity, vary

SIDE = 250
Image = NDArray[np.uint8]


def face(number: int = 0) -> Image:
    """Return a face, H x W x 3 RGB; another number is another person."""
    rng = np.random.default_rng(number)
    drawn = draw_face(draw_identity(rng), vary(EXPRESSIONS["Happy"], 0.5, rng), rng)
    large = cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    noisy = large + rng.normal(0, 3, large.shape)  # the enlarged image has no sensor noise
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def draw(folder: Path, count: int, people: int = 40) -> Path:
    """Write JPEGs in CASIA-WebFace's layout: `<folder>/<7 digits>/<nnnnnn>.jpg`; return the folder.

    There are `people` different people, with at least two images each; each file has its own noise.
    """
    people = min(people, count // 2)  # `emotiw prepare` refuses people of one image each
    faces = [face(person) for person in range(people)]
    rng = np.random.default_rng(0)
    noise = rng.integers(-4, 5, (SIDE + people, SIDE + people, 3), np.int16)
    for k in range(count):
        person, shift = k % people, k // people
        down, right = shift % people, shift // people % people
        moved = noise[down : down + SIDE, right : right + SIDE]
        picture = np.clip(faces[person] + moved, 0, 255).astype(np.uint8)
        path = folder / f"{person:07d}" / f"{k:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return folder
