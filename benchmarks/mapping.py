"""The time of mapping one face to its four mapped representations: ours, and scikit-image's codes with a table."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from alternating import Row, Turns, alternate, on_cores
from by_skimage import mapped
from faces import Image, face
from numpy.typing import NDArray

from emotiw.lbp_mapping.codes import NEIGHBOURS, grey, sample_terms
from emotiw.lbp_mapping.kernels import describe
from emotiw.lbp_mapping.mapping import map_images
from emotiw.lbp_mapping.representation import MAPPED

LOOPS = 20
MOST_ROUNDED = 0.01  # grey values: 255 x twice 1e-5, and some


def check(rgb: Image) -> None:
    """Raise if the two differ by more than the peer's rounding of sample positions to five digits.

    Ours are bit-identical to lbp.m's codes, as tests show; the peer's differ if a neighbour is as bright as the centre
    up to that rounding.
    """
    for ours, theirs, representation in zip(map_images(rgb, MAPPED), mapped(rgb).values(), MAPPED, strict=True):
        other = (ours != theirs).any(axis=2)
        if (other & ~ties(grey(rgb), representation.radius)).any():
            raise SystemExit(f"{representation}: scikit-image gives other colours where nothing ties")
        print(
            f"{representation}: scikit-image has other codes at {other.mean():.2%} of the pixels, which are ties",
            file=sys.stderr,
        )


def ties(image: Image, R: int) -> NDArray[np.bool_]:
    """Return the pixels at which a neighbour is as bright as the centre, apart from rounding."""
    rows, columns = (side - 2 * R for side in image.shape)
    centre = image[R:-R, R:-R].astype(float)
    found = np.zeros(centre.shape, bool)
    for k in range(NEIGHBOURS):
        terms = sample_terms(k, R)
        sample = sum(weight * image[row : row + rows, column : column + columns] for weight, row, column in terms)
        found |= abs(sample - centre) < MOST_ROUNDED
    return found


def measure(folder: Path) -> Turns:
    """Time both on one core, from RGB pixels in memory to the four images, after `check`."""
    rgb = face()
    check(rgb)
    with on_cores(1):
        turns = alternate(partial(map_images, rgb, MAPPED), partial(mapped, rgb), loops=LOOPS)
    return replace(turns, note=f"mapping {describe()}")


ROWS = {
    "map": Row(
        "a 250 x 250 face to the four mapped representations, one core",
        "scikit-image: local_binary_pattern (R 1, 5, 10), a table",
        measure,
        # The target is for the compiled module on AVX2 or AVX-512. NumPy alone reaches at least 7 and has no target.
        least=30,
    )
}
