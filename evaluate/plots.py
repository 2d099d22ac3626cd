"""Plots: confusion matrices, a set's faces in every representation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.files import whole

from .scores import Scores

_MOST_NAMED = 20
_MOST_FACES = 10
_A_ROW = 6


def confusion_picture(scores: Scores, title: str, path: Path) -> None:
    """Write a confusion matrix as a PNG: rows are true classes, colours are fractions of the row."""
    counts = scores.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(scores.classes) <= _MOST_NAMED
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    axes.set_title(f"{title}: {scores.accuracy:.1%}", wrap=True)
    axes.set(xlabel="predicted", ylabel="true")
    if few:
        places = range(len(scores.classes))
        axes.set_xticks(places, scores.classes, rotation=45, ha="right")
        axes.set_yticks(places, scores.classes)
        for row, column in np.ndindex(counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def captioned_picture(prepared: PreparedSet, split: str, captions: Mapping[str, str], path: Path) -> None:
    """Write the faces of these paths with their captions, in RGB if the set has it, as a PNG."""
    names = prepared.facts.representations
    records = prepared.records("rgb" if "rgb" in names else names[0], split, only=captions)
    faces = {record.path: record.blob for record in records}
    columns = min(len(captions), _A_ROW)
    lines = -(-len(captions) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.9 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (face, caption) in zip(grid.flat, captions.items(), strict=False):
        axes.imshow(faces[face][::-1].transpose(1, 2, 0))
        axes.set_title(caption, fontsize=8)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)


def faces_picture(prepared: PreparedSet, split: str, path: Path) -> None:
    """Write one face of each of the first classes, in every representation of a set, as a PNG."""
    names = prepared.facts.representations
    first: dict[int, str] = {}
    for row in prepared.manifest:
        if row["split"] == split and len(first) < _MOST_FACES:
            first.setdefault(int(row["label"]), row["path"])
    figure = Figure(figsize=(1.3 * len(first) + 1, 1.4 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), len(first), squeeze=False)
    for axes_row, name in zip(grid, names, strict=True):
        faces = {r.path: r.blob for r in prepared.records(name, split, only=first.values())}
        for axes, (_, face) in zip(axes_row, sorted(first.items()), strict=True):
            axes.imshow(faces[face][::-1].transpose(1, 2, 0))
            axes.set(xticks=[], yticks=[])
        axes_row[0].set_ylabel(name, fontsize=8)
    for axes, label in zip(grid[0], sorted(first), strict=True):
        axes.set_title(prepared.classes[label], fontsize=8)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
