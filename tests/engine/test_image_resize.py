"""Resizing with NumPy gives SciPy's values to the bit, without its import."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from emotiw.engine.image_resize import MODES, bilinear, smoothed
from emotiw.engine.preprocessing import resize

SIDES = [(250, 250), (64, 64), (1, 1), (97, 61), (61, 97), (64, 63), (33, 200), (2, 3), (128, 1)]


def picture(rng, sides, kind):
    pixels = rng.random((*sides, 3))
    return (pixels * 7 - 2 if kind == np.float64 else pixels).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("sides", SIDES)
def test_bilinear_is_the_zoom_of_scipy(sides, kind):
    image = picture(np.random.default_rng(0), sides, kind)
    for wanted in ((64, 64), (56, 61), (1, 1), (300, 7)):
        zoom = (*np.divide(wanted, sides), 1)
        expected = ndimage.zoom(image, zoom, order=1, mode="grid-constant", grid_mode=True)
        resized = bilinear(image, wanted)
        assert resized.dtype == kind
        np.testing.assert_array_equal(resized, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_smoothing_is_the_gaussian_filter_of_scipy(kind, mode):
    rng = np.random.default_rng(1)
    for sides in SIDES:
        image = picture(rng, sides, kind)
        for wanted in ((64, 64), (56, 61), (224, 224), (30, 200)):
            sigma = (*np.maximum(0, (np.array(sides) / wanted - 1) / 2), 0)
            expected = ndimage.gaussian_filter(image, sigma, mode=MODES[mode], cval=0.1)
            ours = smoothed(image, wanted, mode, 0.1)
            assert ours.dtype == kind
            np.testing.assert_array_equal(ours, expected, err_msg=f"{sides} {wanted}")


def test_a_picture_is_resized_as_by_scipy():
    rgb = np.random.default_rng(2).integers(0, 256, (250, 231, 3), np.uint8)
    unit = (rgb / 255).astype(np.float32)
    low, high = unit.min(), unit.max()
    smooth = ndimage.gaussian_filter(
        (unit - low) / (high - low), ((250 / 64 - 1) / 2, (231 / 64 - 1) / 2, 0), mode="constant"
    )
    zoomed = ndimage.zoom(smooth, (64 / 250, 64 / 231, 1), order=1, mode="grid-constant", grid_mode=True).clip(0, 1)
    np.testing.assert_array_equal(resize(rgb, 64), (zoomed * (high - low) + low) * np.float32(255))


def test_resizing_does_not_import_scipy():
    script = (
        "import sys, numpy as np\n"
        "from emotiw.engine.preprocessing import resize, resize_mean\n"
        "resize(np.eye(90, dtype=np.uint8)[..., None].repeat(3, 2), 64)\n"
        "resize_mean(np.eye(90, dtype=np.float32)[None].repeat(3, 0), (64, 64))\n"
        "sys.exit('scipy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True)
