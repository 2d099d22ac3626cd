"""Region histograms of LBP codes: the features of the classical baseline."""

import numpy as np
from numpy.typing import NDArray

from emotiw.lbp_mapping.codes import Grey, grey, lbp_codes

CODES = 256


def region_histograms(codes: Grey, grid: int) -> NDArray[np.float32]:
    """Return the frequencies of the codes in each cell of a grid, concatenated.

    Parameters
    ----------
    codes : (H, W) uint8
        LBP codes, [0, 255]; H and W at least `grid`.
    grid : int
        The codes are cut into `grid` x `grid` cells, as equal as whole pixels allow.

    Returns
    -------
    (grid * grid * 256,) float32
        Cells row by row; the 256 frequencies of each cell sum to 1.

    Examples
    --------
    >>> shares = region_histograms(np.array([[7, 9], [0, 255]], np.uint8), 2)
    >>> np.flatnonzero(shares).tolist()  # 7, 256 + 9, 512 + 0, 768 + 255
    [7, 265, 512, 1023]
    """
    rows, columns = (np.arange(side) * grid // side for side in codes.shape)
    cells = rows[:, None] * grid + columns
    counts = np.bincount((cells * CODES + codes).ravel(), minlength=grid * grid * CODES).reshape(-1, CODES)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float32).ravel()


def face_histograms(blob: NDArray[np.uint8], grid: int, radius: int) -> NDArray[np.float32]:
    """Return the region histograms of LBP codes of a grey version of an image, (grid * grid * 256,) float32.

    The image is a (3, H, W) uint8 blob in B, G, R order.
    """
    rgb = np.ascontiguousarray(blob[::-1].transpose(1, 2, 0))
    return region_histograms(lbp_codes(grey(rgb), radius), grid)
