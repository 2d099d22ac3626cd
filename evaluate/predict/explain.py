"""A net's view of a face, as in the authors' notebook: input, first filters, their response, posteriors."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.lbp_mapping.figures import DPI, FAINT, INK
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.prototxt.formats.upgrade import read_net
from emotiw.prototxt.shapes import shapes

from .faces import Face, title
from .figures import bars
from .predictor import Predictor

Pixels = NDArray[np.float32]
PANEL = 2.9  # inches


@dataclass(frozen=True)
class Explanation:
    """The intermediate results of one model for a face.

    Attributes
    ----------
    model, title
        The model and its name, with what it was trained on if the face is of another kind.
    layer
        The name of its first convolution.
    seen : (crop, crop, 3) float32
        The centre crop of its input, the mean added back: RGB, [0, 255].
    blob : (3, crop, crop) float32
        The input itself: B, G, R, minus the mean.
    filters : (N, 3, k, k) float32
        The first convolution's weights, B, G, R.
    response : (N, h, w) float32
        Their output after the ReLU, which works in place.
    posteriors : (C,) float64
    """

    model: Model
    title: str
    layer: str
    seen: Pixels
    blob: Pixels
    filters: Pixels
    response: Pixels
    posteriors: NDArray[np.float64]


def explain(face: Face, predictor: Predictor) -> list[Explanation]:
    """Return the explanation of a face by each model of a predictor with one crop.

    Raises
    ------
    EmotiwError
        If the face is too small for a radius, or a net has no convolution.
    """
    try:
        inputs = predictor.inputs(face.rgb)
    except ValueError as error:
        raise EmotiwError(f"{face.image}: {error}") from None
    scores = predictor.scores(inputs)
    found = []
    for model, blobs, posteriors in zip(predictor.models, inputs, scores, strict=True):
        layer, blob, shape = first_convolution(model)
        with predictor.engine.scorer(model.deploy, model.weights, output=blob) as scorer:
            response = scorer.scores(blobs).reshape(shape)
        unscaled = blobs[0] / np.float32(model.transform.scale)
        seen = (unscaled + model.input_mean(predictor.mean_rule)).astype(np.float32)[::-1].transpose(1, 2, 0)
        filters = read_weights(model.weights)[layer][0]
        found.append(Explanation(model, title(model, face), layer, seen, blobs[0], filters, response, posteriors))
    return found


def first_convolution(model: Model) -> tuple[str, str, tuple[int, ...]]:
    """Return the names of a net's first convolution and of its output's blob, and the (N, h, w) of that."""
    net = read_net(model.deploy)
    for layer in net.layer:
        if layer.type == "Convolution":
            return layer.name, layer.top[0], shapes(net)[0][layer.top[0]][1:]
    raise EmotiwError(f"{model.deploy} has no convolution to show: give a net that has one")


def tiles(images: Pixels) -> Pixels:
    """Arrange (N, H, W, ...) images in a grid, as `vis_square` of Caffe's examples: separated by lines of 1.

    Parameters
    ----------
    images : (N, H, W) or (N, H, W, 3) float32
        Scaled together to [0, 1].

    Returns
    -------
    (rows * (H + 1) - 1, columns * (W + 1) - 1, ...) float32
    """
    low, high = images.min(), images.max()
    unit = (images - low) / (high - low) if high > low else np.zeros_like(images)
    columns = ceil(np.sqrt(len(images)))
    rows = ceil(len(images) / columns)
    padding = [(0, rows * columns - len(images)), (0, 1), (0, 1), *[(0, 0)] * (images.ndim - 3)]
    padded = np.pad(unit, padding, constant_values=1)
    height, width, *channels = padded.shape[1:]
    grid = padded.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    return np.asarray(grid.reshape(rows * height, columns * width, *channels)[:-1, :-1], np.float32)


def explanation_figure(explanations: Sequence[Explanation]) -> Figure:
    """Return one picture with a row per model: its input, its first filters, their response, its posteriors."""
    figure = Figure((5 * PANEL, (PANEL + 0.35) * len(explanations)), dpi=DPI, layout="constrained")
    grid = figure.subplots(len(explanations), 5, squeeze=False)
    for one, axes in zip(explanations, grid, strict=True):
        crop, filters = one.seen.shape[0], one.filters[:, ::-1].transpose(0, 2, 3, 1)
        _show(axes[0], np.clip(one.seen / 255, 0, 1), one.title, f"{one.model.representation}, {crop} × {crop}")
        _show(
            axes[1],
            tiles(one.blob[None, ::-1].transpose(0, 2, 3, 1)),
            "minus the mean",
            "the blob itself, stretched to 0 ... 1",
        )
        count, _, side, _ = one.filters.shape
        _show(axes[2], tiles(filters), f"{one.layer}: filters", f"{count} of {side} × {side}")
        height, width = one.response.shape[1:]
        _show(axes[3], tiles(one.response), f"{one.layer}: response", f"{count} of {height} × {width}, after ReLU")
        bars(axes[4], one.model.classes, [(one.title, one.posteriors)], one.posteriors)
    return figure


def _show(axes: Axes, picture: Pixels, title: str, note: str) -> None:
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=9, color=INK, pad=14)
    axes.text(0, 1.01, note, transform=axes.transAxes, fontsize=7, color=FAINT, va="bottom")
