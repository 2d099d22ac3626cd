"""The figures of `emotiw predict --figure`: a picture with its faces and their posteriors."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from emotiw.errors import UsageError
from emotiw.files import refuse_overwrite, whole
from emotiw.lbp_mapping.figures import DPI, INK, PANEL

from .faces import STDIN, Failure, title
from .predictor import Prediction, Predictor

Answer = Prediction | Failure
Posteriors = NDArray[np.float64]
COLOURS = ("#3b6ea8", "#c9703d", "#5a8f5a", "#9a5b9a", "#b0a03c", "#6b6b6b")
_MOST_FACES = 6  # one panel each; only the largest faces are shown


def figures_of(images: Sequence[str], folder: Path, force: bool) -> list[Path]:
    """Return the paths of the pictures' figures; raise if two are equal, or one exists already."""
    paths = [figure_path(image, folder) for image in images]
    seen: dict[Path, str] = {}
    for image, path in zip(images, paths, strict=True):
        if path in seen:
            raise UsageError(f"{image} and {seen[path]} would both become {path}: predict them into two folders")
        seen[path] = image
        refuse_overwrite(path, force)
    return paths


def figure_path(image: str, folder: Path) -> Path:
    """Return the path of a picture's figure."""
    return folder / f"{'stdin' if image == STDIN else Path(image).stem}.prediction.png"


def with_figures(answers: Iterable[Answer], predictor: Predictor, folder: Path) -> Iterator[Answer]:
    """Pass the answers on; after the last face of a picture, write its figure."""
    for image, group in groupby(
        answers, lambda answer: answer.face.image if isinstance(answer, Prediction) else answer.image
    ):
        faces = []
        for answer in group:
            if isinstance(answer, Prediction):
                faces.append(answer)
            yield answer
        if faces:
            with whole(figure_path(image, folder)) as temporary:
                prediction_figure(faces[:_MOST_FACES], predictor).savefig(temporary, format="png")


def prediction_figure(faces: Sequence[Prediction], predictor: Predictor) -> Figure:
    """Return one picture with the boxes of its faces, and bars of each face's posteriors by every model."""
    picture = faces[0].face.picture
    height, width = picture.shape[:2]
    shown, titles = PANEL * 1.6, [title(model, faces[0].face) for model in predictor.models]
    figure = Figure(
        (shown + 2.6 * len(faces), max(shown * min(height / width, 1.5), 2.6) + 0.4), dpi=DPI, layout="constrained"
    )
    axes = figure.subplots(1, 1 + len(faces), width_ratios=[shown, *[2.6] * len(faces)])
    axes[0].imshow(picture)
    axes[0].set_axis_off()
    for prediction, place in zip(faces, axes[1:], strict=True):
        face = prediction.face
        if face.box:
            x, y, *size = face.box
            axes[0].add_patch(Rectangle((x, y), *size, fill=False, edgecolor="white", linewidth=2.4))
            axes[0].add_patch(Rectangle((x, y), *size, fill=False, edgecolor=COLOURS[0], linewidth=1.2))
            axes[0].text(x, y, f" {face.number}", color="white", backgroundcolor=COLOURS[0], fontsize=7, va="bottom")
        bars(place, predictor.models[0].classes, [*zip(titles, prediction.posteriors, strict=True)], prediction.average)
        place.set_title(f"face {face.number}" if face.box else "", loc="left", fontsize=9, color=INK)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=7, frameon=False)
    return figure


def bars(axes: Axes, classes: Sequence[str], rows: Sequence[tuple[str, Posteriors]], average: Posteriors) -> None:
    """Draw posteriors as bars: each model's, and, if there are several, their average in the background.

    Parameters
    ----------
    rows
        Title and (C,) posteriors of each model.
    average : (C,) float64
        Its most probable class is the heading.
    """
    places, height = np.arange(len(classes)), 0.8 / len(rows)
    if len(rows) > 1:
        axes.barh(places, average, 0.92, color="#e2e2e2", label="average")
    for number, (name, row) in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        axes.barh(places - 0.4 + (number + 0.5) * height, row, height * 0.8, color=colour, label=name)
    best = int(average.argmax())
    axes.set_yticks(places, classes, fontsize=8)
    axes.get_yticklabels()[best].set_fontweight("bold")
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.4, -0.6))
    axes.tick_params(labelsize=7, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{classes[best]} {average[best]:.2f}", loc="right", fontsize=9, color=INK)
