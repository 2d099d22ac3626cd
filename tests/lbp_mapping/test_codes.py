import math

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from emotiw.lbp_mapping.codes import grey, lbp_codes, sample_terms

RADII = (1, 2, 3, 5, 10)


def uint8(rows):
    return np.array(rows, np.uint8)


def noise(side=64, levels=256, seed=0):
    return np.random.default_rng(seed).integers(0, levels, (side, side + 7), dtype=np.uint8)


def lbp_m(image, R, t=0.0):
    """Oulu's lbp.m 0.3.2 for 8 neighbours, statement by statement; its arrays count from 1."""
    d_image = image.astype(np.float64)
    ysize, xsize = image.shape
    a = 2 * math.pi / 8
    spoints = [(-R * math.sin(i * a), R * math.cos(i * a)) for i in range(8)]
    origy = 1 - math.floor(min(min(y for y, _ in spoints), 0))
    origx = 1 - math.floor(min(min(x for _, x in spoints), 0))
    dy, dx = ysize - 2 * R - 1, xsize - 2 * R - 1

    def part(y, x):
        return d_image[y - 1 : y + dy, x - 1 : x + dx]

    C = part(origy, origx)
    result = np.zeros((dy + 1, dx + 1))
    for i, (sy, sx) in enumerate(spoints):
        y, x = sy + origy, sx + origx
        fy, cy, ry = math.floor(y), math.ceil(y), round(y)
        fx, cx, rx = math.floor(x), math.ceil(x), round(x)
        if abs(x - rx) < 1e-6 and abs(y - ry) < 1e-6:
            N = part(ry, rx)
        else:
            ty, tx = y - fy, x - fx
            w1, w2, w3, w4 = (1 - tx) * (1 - ty), tx * (1 - ty), (1 - tx) * ty, tx * ty
            N = w1 * part(fy, fx) + w2 * part(fy, cx) + w3 * part(cy, fx) + w4 * part(cy, cx)
        result += 2**i * (t <= N - C)
    return result.astype(np.uint8)


@pytest.mark.parametrize(
    ("row", "column", "bit"),
    [(1, 2, 0), (0, 2, 1), (0, 1, 2), (0, 0, 3), (1, 0, 4), (2, 0, 5), (2, 1, 6), (2, 2, 7)],
)
def test_neighbours_run_from_the_east_against_the_clock(row, column, bit):
    image = np.zeros((3, 3), np.uint8)
    image[1, 1] = 100
    image[row, column] = 255
    assert lbp_codes(image).tolist() == [[1 << bit]]


def test_codes_a_reader_can_check():
    image = uint8([[9, 9, 9, 9, 9], [9, 5, 5, 5, 9], [9, 5, 1, 5, 9], [9, 5, 5, 5, 9], [9, 9, 9, 9, 9]])
    # All pixels are brighter than the middle one. It is darker than each of its eight neighbours; for a neighbour on an
    # axis, the two interpolated samples beside it are darker, too. All other samples are brighter or equal.
    assert lbp_codes(image).tolist() == [
        [0b01111111, 0b00011111, 0b11011111],
        [0b01111100, 0b11111111, 0b11000111],
        [0b11111101, 0b11110001, 0b11110111],
    ]


def test_equal_axis_neighbours_count():
    image = uint8([[0, 7, 0], [7, 7, 7], [0, 7, 0]])
    assert lbp_codes(image).tolist() == [[0b01010101]]


@pytest.mark.parametrize(("threshold", "code"), [(3, 1), (3.5, 0), (2, 1), (-4, 0b00010001), (-3.5, 1)])
def test_the_difference_must_reach_the_threshold(threshold, code):
    image = uint8([[0, 0, 0], [96, 100, 103], [0, 0, 0]])
    assert lbp_codes(image, threshold=threshold).tolist() == [[code]]


def test_an_interpolated_neighbour_lies_on_the_circle():
    # NE lies at 0.7071 of the way: 0.5 of the corner, 0.2071 of each side, 0.0858 of the centre.
    weights = [weight for weight, _, _ in sample_terms(1, 1)]
    assert weights == pytest.approx([0.2071, 0.5, 0.0858, 0.2071], abs=1e-4)
    assert [(row, column) for _, row, column in sample_terms(1, 1)] == [(0, 1), (0, 2), (1, 1), (1, 2)]


@pytest.mark.parametrize("radius", RADII)
def test_every_sample_is_an_average(radius):
    for k in range(8):
        terms = sample_terms(k, radius)
        assert len(terms) == (4 if k % 2 else 1)
        assert sum(weight for weight, _, _ in terms) == pytest.approx(1, abs=1e-12)
        row, column = (sum(term[0] * term[axis] for term in terms) for axis in (1, 2))
        assert (row, column) == pytest.approx(
            (radius - radius * math.sin(math.pi * k / 4), radius + radius * math.cos(math.pi * k / 4)), abs=1e-9
        )


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("levels", [2, 4, 256])
@pytest.mark.parametrize("threshold", [0, 5, -2.5, 0.1])
def test_bit_for_bit_lbp_m(radius, levels, threshold):
    image = noise(levels=levels)
    assert np.array_equal(lbp_codes(image, radius, threshold), lbp_m(image, radius, threshold))


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("value", [0, 1, 77, 200, 255])
def test_a_constant_image_is_all_ties(radius, value):
    image = np.full((2 * radius + 3, 2 * radius + 4), value, np.uint8)
    codes = lbp_codes(image, radius)
    assert np.array_equal(codes, lbp_m(image, radius))
    assert len(np.unique(codes)) == 1
    assert codes[0, 0] & 0b01010101 == 0b01010101
    assert np.all(lbp_codes(image, radius, 1) == 0)
    assert np.all(lbp_codes(image, radius, -1) == 255)


@pytest.mark.parametrize("radius", RADII)
def test_a_ramp_is_brighter_to_the_right(radius):
    image = np.tile(np.arange(2 * radius + 9, dtype=np.uint8) * 2, (2 * radius + 3, 1))
    # E, NE, SE are brighter, W, NW, SW darker, N and S equal.
    assert np.all(lbp_codes(image, radius) == 0b11000111)


def test_float_noise_of_1_based_coordinates_decides_ties():
    image = noise(128, 8)
    nearly = local_binary_pattern(image, 8, 1)[1:-1, 1:-1]
    assert 0 < np.mean(lbp_codes(image) != nearly) < 0.1


@pytest.mark.parametrize("radius", [1, 5, 10])
def test_scikit_image_agrees_except_for_rounding(radius):
    image = noise(200)
    theirs = local_binary_pattern(image, 8, radius)[radius:-radius, radius:-radius]
    assert np.mean(lbp_codes(image, radius) != theirs) < 0.015


def test_there_is_no_padding():
    assert lbp_codes(noise(30), 10).shape == (10, 17)
    assert lbp_codes(noise(21), 10).shape == (1, 8)


@pytest.mark.parametrize("shape", [(2, 9), (9, 2), (0, 0)])
def test_an_image_smaller_than_the_circle_is_refused(shape):
    with pytest.raises(ValueError, match=f"{shape[1]} x {shape[0]} pixels is too small .* needs at least 3 x 3"):
        lbp_codes(np.zeros(shape, np.uint8))


def test_views_and_transposes_are_images_too():
    image = noise()
    assert np.array_equal(lbp_codes(image[::2, ::-1]), lbp_codes(image[::2, ::-1].copy()))
    assert np.array_equal(lbp_codes(image.T), lbp_codes(image.T.copy()))


def test_grey_is_matlabs():
    colours = uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [1, 2, 3]]])
    # 76.2287, 149.696, 29.0753; 255; 0; 1.815
    assert grey(colours).tolist() == [[76, 150, 29, 255, 0, 2]]


def test_grey_leaves_grey_alone():
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(grey(np.stack([values] * 3, axis=-1)[None])[0], values)


def test_grey_is_exact_for_every_red_and_green():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (500, 500, 3), dtype=np.uint8)
    r, g, b = (rgb[..., channel].astype(np.int64) for channel in range(3))
    exact = (298936021 * r + 587043074 * g + 114020904 * b + 500_000_000) // 1_000_000_000
    assert np.array_equal(grey(rgb), exact)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_grey_requires_rgb(image):
    with pytest.raises(ValueError, match="H x W x 3"):
        grey(image)
