"""Examine a picture by some models for `emotiw serve`: faces, representations, posteriors."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.class_list import difference
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.faces import Face, Failure, decode_one, find, title
from emotiw.evaluate.predict.predictor import Prediction
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import PAPER, Representation, parse

Rgb = NDArray[np.uint8]


class Predicting(Protocol):
    """The part of `Predictor` that is used here."""

    @property
    def models(self) -> Sequence[Model]:
        """The models."""

    def describe(self) -> list[str]:
        """Return a one-line description for each model."""

    def predict(self, faces: Iterable[Face | Failure]) -> Iterator[Prediction | Failure]:
        """Yield the prediction or the failure of each face."""


@dataclass(frozen=True)
class Examination:
    """The results for a picture.

    Attributes
    ----------
    picture : (H, W, 3) uint8
        RGB, [0, 255].
    faces
        All faces in it, the largest first; may be empty.
    number
        The number of the face that the other attributes are about, from 1.
    representations
        That face at native size, RGB, by representation; None if it is too small for the radius.
    models
        The chosen models.
    posteriors : (M, C) float64
        Their posteriors; empty if no model was chosen or none could answer.
    reason
        Why there are no posteriors, if there are none.
    """

    picture: Rgb
    faces: Sequence[Face]
    number: int
    representations: dict[str, Rgb | None]
    models: Sequence[Model]
    posteriors: NDArray[np.float64]
    reason: str = ""

    @property
    def titles(self) -> list[str]:
        """The models' names, with what they were trained on if the face is of another kind."""
        return [title(model, self.faces[self.number - 1]) for model in self.models] if self.faces else []

    @property
    def average(self) -> NDArray[np.float64]:
        """The ensemble's posteriors, (C,): the models' equally weighted average."""
        return np.asarray(self.posteriors.mean(axis=0), np.float64)


class Examiner:
    """Loaded models that examine pictures, one at a time.

    Parameters
    ----------
    predictors
        One for each model, loaded; all with the same classes.

    Raises
    ------
    EmotiwError
        If the models have different classes.
    """

    def __init__(self, predictors: Sequence[Predicting]) -> None:
        self.models = [model for predictor in predictors for model in predictor.models]
        for model in self.models:
            if model.classes != self.models[0].classes:
                words = difference(model.classes, self.models[0].classes, "the other")
                raise EmotiwError(
                    f"{model.name} and {self.models[0].name} have different classes: the first {words}: serve each "
                    "alone"
                )
        self.classes = self.models[0].classes
        self._predictors = predictors
        self._none = np.empty((0, len(self.classes)))
        own = [parse(model.representation) for model in self.models]
        self._representations = dict.fromkeys((*PAPER, *own))
        self._lock = Lock()  # a worker handles one batch at a time, and the face detector is not thread-safe

    def describe(self) -> list[str]:
        """Return a one-line description for each model."""
        return [line for predictor in self._predictors for line in predictor.describe()]

    def rehearse(self) -> None:
        """Run every model once, so that one that cannot run is noticed before the first request.

        Raises
        ------
        EmotiwError
            If the engine fails.
        """
        grey = np.full((256, 256, 3), 128, np.uint8)
        self._answers(Face("a grey picture", 1, None, grey, grey), range(len(self.models)))

    def examine(self, data: bytes, chosen: Sequence[int], *, detect: bool, number: int = 1) -> Examination:
        """Return the results for a picture.

        Parameters
        ----------
        data
            The bytes of its file, which are untrusted.
        chosen
            The chosen models, by index in `models`.
        detect
            Whether to detect faces; if false, the picture is a face crop.
        number
            The number of the face, from 1; the first if there are fewer.

        Raises
        ------
        UnreadableImageError
            If it is not a picture.
        EmotiwError
            If the engine fails.
        """
        with self._lock:
            picture = decode_one(data)
            faces = find(picture, "the picture", detect=detect)
            number = number if number <= len(faces) else 1
            models = [self.models[at] for at in chosen]
            if not faces:
                return Examination(picture, faces, number, {}, models, self._none, "no face found")
            face = faces[number - 1]
            represented = {str(r): _represented(face.rgb, r) for r in self._representations}
            return Examination(picture, faces, number, represented, models, *self._answers(face, chosen))

    def _answers(self, face: Face, chosen: Sequence[int]) -> tuple[NDArray[np.float64], str]:
        """Return the chosen models' posteriors, (M, C), or an empty array and the reason."""
        rows = []
        for at in chosen:
            (answer,) = self._predictors[at].predict([face])
            if isinstance(answer, Failure):
                return self._none, answer.reason
            rows.append(answer.posteriors[0])
        return (np.array(rows), "") if rows else (self._none, "no model is chosen")


def _represented(rgb: Rgb, representation: Representation) -> Rgb | None:
    try:
        return map_image(rgb, representation)
    except ValueError:  # too small for the radius
        return None
