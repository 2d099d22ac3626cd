"""A picture and some of the models -> all that `emotiw serve` shows of it: faces, representations, posteriors."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.faces import Face, Failure, decode_one, find, title
from emotiw.evaluate.predict.predictor import Prediction
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import PAPER, Representation, parse

Rgb = NDArray[np.uint8]


class Predicting(Protocol):
    """What is asked of a `Predictor`: the models it runs, what it does in words, and their answers."""

    @property
    def models(self) -> Sequence[Model]:
        """The models."""

    def describe(self) -> list[str]:
        """Return, in a line a model, what is run."""

    def predict(self, faces: Iterable[Face | Failure]) -> Iterator[Prediction | Failure]:
        """Yield what becomes of each face."""


@dataclass(frozen=True)
class Examination:
    """What was found in a picture.

    Attributes
    ----------
    picture : (H, W, 3) uint8
        RGB, [0, 255].
    faces
        All of it, the largest first; may be none.
    number
        Which of them the rest is about, from 1.
    representations
        Its face at native size, RGB, by name; None where it is too small for the radius.
    models
        Those that were asked.
    posteriors : (M, C) float64
        Theirs; empty where none was asked or none could answer.
    reason
        Why there are no posteriors, where there are none.
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
        """The models' names, with what they were trained on where the face is not like that."""
        return [title(model, self.faces[self.number - 1]) for model in self.models] if self.faces else []

    @property
    def average(self) -> NDArray[np.float64]:
        """The ensemble's posteriors, (C,): the models' equally weighted average."""
        return np.asarray(self.posteriors.mean(axis=0), np.float64)


class Examiner:
    """Models ready to look at pictures, one picture at a time.

    Parameters
    ----------
    predictors
        One for each model, loaded; all of the same classes.

    Raises
    ------
    EmotiwError
        If the models have different classes.
    """

    def __init__(self, predictors: Sequence[Predicting]) -> None:
        self.models = [model for predictor in predictors for model in predictor.models]
        for model in self.models:
            if model.classes != self.models[0].classes:
                raise EmotiwError(f"{model.name} and {self.models[0].name} have other classes: serve each alone")
        self.classes = self.models[0].classes
        self._predictors = predictors
        self._none = np.empty((0, len(self.classes)))
        own = [parse(model.representation) for model in self.models]
        self._representations = dict.fromkeys((*PAPER, *own))
        self._lock = Lock()  # a worker answers one batch after another, and the cascade is not made for threads

    def describe(self) -> list[str]:
        """Return, in a line a model, what is run."""
        return [line for predictor in self._predictors for line in predictor.describe()]

    def rehearse(self) -> None:
        """Have every model answer once: what cannot run is known before anybody asks.

        Raises
        ------
        EmotiwError
            If the engine fails.
        """
        grey = np.full((256, 256, 3), 128, np.uint8)
        self._answers(Face("a grey picture", 1, None, grey, grey), range(len(self.models)))

    def examine(self, data: bytes, chosen: Sequence[int], *, detect: bool, number: int = 1) -> Examination:
        """Return all that is shown of a picture.

        Parameters
        ----------
        data
            The bytes of its file, which nobody has vouched for.
        chosen
            Which of `models`, by position.
        detect
            Whether faces are looked for; else the picture is the crop of one.
        number
            Which of its faces, from 1; the first where it has fewer.

        Raises
        ------
        UnreadableImageError
            If it is no picture.
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
        """Return the chosen models' posteriors, (M, C), or none and why."""
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
    except ValueError:  # too small for its radius
        return None
