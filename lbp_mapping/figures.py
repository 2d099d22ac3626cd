"""Figures of a face in its representations, and of the 256 codes in 3-D."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import HashableList
from mpl_toolkits.mplot3d.art3d import Line3DCollection  # type: ignore[import-untyped]
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from .codes import grey, lbp_codes
from .distance import AUTHORS, matrix
from .mapping import Image, map_image
from .representation import Representation
from .tables import shipped

INK, FAINT = "#222222", "#8a8a8a"
DPI = 160
PANEL = 2.2  # inches wide

# Codes that the figure labels: no bit set, all, every other one, the first, and the two halves of the circle.
LABELLED = (0, 255, 85, 1, 15, 240)

RULES = {
    "lbp": "Earth Mover's Distance of the bits",
    "cyclic_lbp": "the same, or of either code's mirror image",
    "hamming_lbp": "number of differing bits (ours)",
}


def face_figure(rgb: Image, representations: Iterable[Representation]) -> Figure:
    """Return a figure of the face, its codes (above) and its mapped images (below), one column per representation.

    Every panel shows the whole frame of the face; the margin of R pixels, which have no code, stays white.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        RGB, [0, 255].
    representations : iterable of Representation
        `rgb` is the face itself and gets no column.

    Returns
    -------
    matplotlib.figure.Figure
    """
    mapped = [representation for representation in representations if representation.mapping != "rgb"]
    height, width = rgb.shape[:2]
    panel = PANEL * height / width + 0.3
    figure = Figure((PANEL * (len(mapped) + 2.2), 2 * panel), dpi=DPI, layout="constrained")
    rows: list[HashableList[str]] = [["face", *(f"{r} {part}" for r in mapped)] for part in ("codes", "colours")]
    axes = figure.subplot_mosaic(rows, width_ratios=[2.2, *[1] * len(mapped)])
    _show(axes["face"], rgb, 0, "face", f"{width} × {height}")
    grey_image = grey(rgb)
    for r in mapped:
        threshold = f", t = {r.threshold:g}" if r.threshold else ""
        codes = lbp_codes(grey_image, r.radius, r.threshold)
        _show(axes[f"{r} codes"], codes, r.radius, "LBP codes", f"R = {r.radius}{threshold}")
        picture = map_image(rgb, r)
        _show(axes[f"{r} colours"], picture, r.radius, str(r), f"{picture.shape[1]} × {picture.shape[0]}")
    return figure


def codes_figure(mappings: Sequence[str] = AUTHORS) -> Figure:
    """Return a figure of the 256 codes as points in 3-D, in their colours; lines join codes at distance 1.

    Parameters
    ----------
    mappings : sequence of str
        `lbp`, `cyclic_lbp` or `hamming_lbp`; one panel per mapping.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((6.2 * len(mappings), 5.4), dpi=DPI)
    for column, mapping in enumerate(mappings):
        place = (column / len(mappings), 0.0, 1 / len(mappings), 0.93)
        with rc_context({"grid.color": "#e4e4e4", "grid.linewidth": 0.6}):
            axes = figure.add_axes(place, projection="3d")
        _scatter(axes, mapping)
        middle = (column + 0.5) / len(mappings)
        figure.text(middle, 0.94, mapping, ha="center", fontsize=13, color=INK)
        figure.text(middle, 0.905, RULES[mapping], ha="center", fontsize=9, color=FAINT)
    return figure


def _show(axes: Axes, picture: npt.NDArray[np.uint8], margin: int, title: str, note: str) -> None:
    """Draw a picture that lacks `margin` pixels of the frame on each side."""
    height, width = picture.shape[0] + 2 * margin, picture.shape[1] + 2 * margin
    extent = (margin, width - margin, height - margin, margin)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=extent)
    axes.set(xlim=(0, width), ylim=(height, 0), anchor="N")
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=9, color=INK, pad=4)
    axes.set_title(note, loc="right", fontsize=7, color=FAINT, pad=4)


def _scatter(axes: Axes3D, mapping: str) -> None:
    points = shipped(mapping).astype(float)
    colours = points / 255
    i, j = np.nonzero(np.triu(matrix(mapping) == 1))
    segments, mixed = np.stack([points[i], points[j]], axis=1), (colours[i] + colours[j]) / 2
    axes.add_collection3d(Line3DCollection(segments, colors=mixed, linewidths=0.5, alpha=0.45))
    axes.scatter(*points.T, c=colours, s=34, depthshade=False, edgecolors="white", linewidths=0.4)
    for code in LABELLED:
        x, y, z = points[code] + (0, 0, 0.045 * np.ptp(points[:, 2]))
        axes.text(x, y, z, str(code), fontsize=8, color=INK, ha="center", zorder=1000)
    axes.view_init(elev=22, azim=-58)
    axes.set_box_aspect((1.5, 1.1, 1), zoom=1.06)
    for axis, letter in zip((axes.xaxis, axes.yaxis, axes.zaxis), "RGB", strict=True):
        axis.set_pane_color("#fafafa")
        axis.line.set_color("#c0c0c0")
        axis.set_label_text(letter, color=INK, fontsize=10)
        axis.labelpad = 1
        axis.set_tick_params(labelsize=7, labelcolor=FAINT, color="#c0c0c0")
        axis.set_major_locator(MaxNLocator(5, integer=True))
