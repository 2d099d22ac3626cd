"""pycaffe's resize in a graph: the package's own, by scipy, to float32's rounding."""

import numpy as np
import pytest

from emotiw.engine.onnx.resize import resized
from emotiw.engine.preprocessing import resize


@pytest.mark.parametrize("size", [64, 227])
@pytest.mark.parametrize(
    "sides",
    [(64, 64), (227, 227), (40, 52), (143, 181), (63, 65), (64, 200), (300, 20), (1, 1), (1, 90), (1000, 700)],
    ids=lambda sides: "x".join(map(str, sides)),
)
def test_as_pycaffe_resizes(computed, sides, size):
    rng = np.random.default_rng(sum(sides))
    face = rng.integers(20, 256, (*sides, 3), np.uint8)  # beyond the border lies the least value, which is not 0
    found = computed(lambda image: resized(image, size), face.astype(np.float32), ("H", "W", 3))
    wanted = resize(face, size).transpose(2, 0, 1)
    print(f"largest difference: {np.abs(found - wanted).max():.1e} of 255")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_an_image_of_the_right_size_is_unchanged(computed):
    face = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found = computed(lambda image: resized(image, 64), face.astype(np.float32), ("H", "W", 3))
    np.testing.assert_array_equal(found, face.transpose(2, 0, 1))


def test_an_image_of_one_colour_keeps_it(computed):
    face = np.full((30, 90, 3), 77, np.float32)
    found = computed(lambda image: resized(image, 64), face, ("H", "W", 3))
    np.testing.assert_array_equal(found, np.full((3, 64, 64), 77))
