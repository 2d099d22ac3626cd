"""Resize and mean by hand; tests/evaluate holds them against pycaffe itself."""

import numpy as np
import pytest

from emotiw.engine.preprocessing import MEAN_RULES, resize


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_picture_of_the_size_stays_as_it_is():
    rgb = picture(16, 16)
    np.testing.assert_allclose(resize(rgb, 16), rgb, rtol=0, atol=1e-4)


def test_an_enlarged_picture_darkens_only_at_its_border():
    """For 2 -> 4, the first centre is a quarter of a pixel outside, where all is black: 3 / 4 x 3 / 4 of the value."""
    rgb = np.full((2, 2, 3), 200, np.uint8)
    rgb[0, 0] = 0  # the darkest value counts as black, because pycaffe stretches to [0, 1] first
    large = resize(rgb, 4)
    assert large.dtype == np.float32
    assert large[3, 3].tolist() == pytest.approx([200 * 0.75 * 0.75] * 3)
    assert large[2, 2].tolist() == pytest.approx([200 * (1 - 0.25 * 0.25)] * 3)
    assert large[0, 0].tolist() == [0, 0, 0]


def test_one_colour_is_unchanged_up_to_the_border():
    assert np.unique(resize(np.full((5, 7, 3), 80, np.uint8), 9)) == pytest.approx(80)


def test_the_mean_is_cropped_or_made_smaller():
    mean = np.arange(3 * 8 * 8, dtype=np.float32).reshape(3, 8, 8)
    np.testing.assert_array_equal(MEAN_RULES["crop"](mean, 4), mean[:, 2:6, 2:6])
    smaller = MEAN_RULES["resize"](mean, 4)
    assert smaller.shape == (3, 4, 4)
    assert abs(smaller[1, 1:3, 1:3].mean() - mean[1].mean()) < 1e-3  # its centre stays in place
    np.testing.assert_array_equal(MEAN_RULES["resize"](mean, 8), mean)
    np.testing.assert_array_equal(MEAN_RULES["resize"](np.full((3, 8, 8), 7, np.float32), 4), np.full((3, 4, 4), 7))
