"""Predictions in the challenge's form, and the truth where somebody has it: one line an image, `<name> <label>`."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.emotions import emotion_named
from emotiw.errors import EmotiwError

from .scores import Scores


def predictions_text(scores: Scores) -> str:
    """Return one line an image: its file's name, and the class predicted, by name."""
    named = (scores.classes[label] for label in scores.predictions)
    return "".join(f"{PurePosixPath(path).name} {name}\n" for path, name in zip(scores.paths, named, strict=True))


def read_truth(path: Path, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the label of each image that a file of lines `<name> <label>` names.

    The name may leave its ending out; the label is a class's name, also as other sets spell it, or its number.

    Raises
    ------
    EmotiwError
        Where a line has another form, a label is none of the classes, or a name comes twice.
    """
    truth: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise EmotiwError(f"{path} is no list of labels: it is not text") from None
    numbers = {str(number): number for number in range(len(classes))} | {name: k for k, name in enumerate(classes)}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        known = numbers.get(label, numbers.get(emotion_named(label) or ""))
        stem = PurePosixPath(name.strip()).stem
        if not stem or known is None:
            raise EmotiwError(f"{path}, line {number}: give <name> <label>, the label one of {', '.join(classes)}")
        if stem in truth:
            raise EmotiwError(f"{path}, line {number}: {stem} comes twice: give each image one label")
        truth[stem] = known
    return truth


def true_labels(paths: Sequence[str], classes: tuple[str, ...], where: Path) -> NDArray[np.int64]:
    """Return the (N,) labels of images by the file `where`; every image needs one there.

    Raises
    ------
    EmotiwError
        Where an image has none, or the file is not as `read_truth` wants it.
    """
    truth = read_truth(where, classes)
    stems = [PurePosixPath(path).stem for path in paths]
    if missing := [stem for stem in stems if stem not in truth]:
        raise EmotiwError(f"{where} has no label for {len(missing)} of the images, such as {missing[0]}")
    return np.array([truth[stem] for stem in stems], np.int64)
