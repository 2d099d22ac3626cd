"""Region histograms, by hand and by NumPy's histogram."""

import cv2
import numpy as np
import pytest

from emotiw.evaluate.baseline.features import face_histograms, region_histograms
from emotiw.lbp_mapping.codes import lbp_codes


def test_by_hand():
    """Four cells of a 4 x 4 picture of codes."""
    codes = np.array([[1, 1, 2, 2], [1, 3, 2, 2], [0, 0, 255, 254], [9, 9, 253, 252]], np.uint8)
    shares = region_histograms(codes, 2).reshape(4, 256)
    found = [{int(code): float(cell[code]) for code in np.flatnonzero(cell)} for cell in shares]
    assert found == [{1: 0.75, 3: 0.25}, {2: 1.0}, {0: 0.5, 9: 0.5}, {252: 0.25, 253: 0.25, 254: 0.25, 255: 0.25}]


@pytest.mark.parametrize(("height", "width", "grid"), [(7, 7, 7), (62, 62, 7), (254, 254, 7), (30, 41, 4), (5, 9, 1)])
def test_cells_are_as_equal_as_possible_with_numpys_histograms(height, width, grid):
    codes = np.random.default_rng(height).integers(0, 256, (height, width)).astype(np.uint8)
    shares = region_histograms(codes, grid)
    assert (shares.dtype, shares.shape) == (np.float32, (grid * grid * 256,))
    np.testing.assert_allclose(shares.reshape(-1, 256).sum(axis=1), 1, rtol=1e-5)
    edges = [[-(-k * side // grid) for k in range(grid + 1)] for side in (height, width)]
    for edge, side in zip(edges, (height, width), strict=True):
        assert set(np.diff(edge)) <= {side // grid, -(-side // grid)}
    cells = shares.reshape(grid, grid, 256)
    for row, column in np.ndindex(grid, grid):
        part = codes[edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]]
        counts, _ = np.histogram(part, np.arange(257))
        np.testing.assert_allclose(cells[row, column], counts / part.size, rtol=1e-6)


def test_a_faces_are_those_of_the_codes_of_its_grey():
    """A blob is B, G, R planes; OpenCV's grey of a grey picture is the picture."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (20, 20)).astype(np.uint8)
    blob = np.stack([grey] * 3)
    np.testing.assert_array_equal(face_histograms(blob, 3, 1), region_histograms(lbp_codes(grey), 3))
    blob = rng.integers(0, 256, (3, 20, 20)).astype(np.uint8)
    theirs = cv2.cvtColor(blob.transpose(1, 2, 0), cv2.COLOR_BGR2GRAY)
    ours, near = face_histograms(blob, 3, 1), region_histograms(lbp_codes(theirs), 3)
    swapped = face_histograms(blob[::-1], 3, 1)
    assert np.abs(ours - near).sum() < 0.2 * np.abs(ours - swapped).sum()
