"""Class posteriors of faces by several models, each with its own preprocessing, in batches and constant memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.class_list import difference
from emotiw.engine.base import Blob, DivergedError, Engine
from emotiw.engine.inference import NotFiniteError, posteriors
from emotiw.engine.preprocessing import net_inputs, resize
from emotiw.errors import EmotiwError
from emotiw.evaluate.model import Model
from emotiw.lbp_mapping.mapping import map_images
from emotiw.lbp_mapping.representation import parse

from .faces import Face, Failure

Rgb = NDArray[np.uint8]
Key = TypeVar("Key")

BATCH = 10  # inputs per forward pass: VGG_S takes half the time of single inputs, and little memory


@dataclass(frozen=True)
class Prediction:
    """A face and its class posteriors by each model, (M, C) float64; `average` is their weighted average, (C,)."""

    face: Face
    posteriors: NDArray[np.float64]
    average: NDArray[np.float64]


@dataclass
class Tally:
    """The number of faces that were scored, and of pictures or faces that were not."""

    faces: int = 0
    failures: int = 0

    def counted(self, answers: Iterable[Prediction | Failure]) -> Iterator[Prediction | Failure]:
        """Pass the answers on, and count them."""
        for answer in answers:
            if isinstance(answer, Failure):
                self.failures += 1
            else:
                self.faces += 1
            yield answer

    def __str__(self) -> str:
        return f"{self.faces:,} faces scored; {self.failures:,} pictures or faces were not"


class Predictor:
    """Models, each loaded once, that score faces; use it in a `with` statement.

    Parameters
    ----------
    models
        All with the same classes.
    engine
        The engine that computes.
    crops
        1 (the centre) or 10.
    mean_rule
        A key of `preprocessing.MEAN_RULES`; empty: each model's own rule.
    weights : (M,) float64, optional
        The weights of the models in their average; equal by default.

    Raises
    ------
    EmotiwError
        If the models have different classes.
    """

    def __init__(
        self,
        models: Sequence[Model],
        engine: Engine,
        crops: int = 1,
        mean_rule: str = "",
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        for model in models:
            if model.classes != models[0].classes:
                words = difference(model.classes, models[0].classes, "the other")
                raise EmotiwError(
                    f"{model.name} and {models[0].name} have different classes: the first {words}: predict with each "
                    "alone"
                )
        self.models, self.crops, self.mean_rule, self.engine = models, crops, mean_rule, engine
        self.weights = np.full(len(models), 1 / len(models)) if weights is None else weights
        self._representations = [parse(model.representation) for model in models]
        self._means = [model.input_mean(mean_rule) for model in models]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._scorers = [
                stack.enter_context(self.engine.scorer(model.deploy, model.weights)) for model in self.models
            ]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def describe(self) -> list[str]:
        """Return a one-line description for each model: input, crops, mean, engine."""
        crops = "the centre crop" if self.crops == 1 else f"the average of {self.crops} crops"
        weighted = bool(np.ptp(self.weights))
        return [
            f"{model.title}: {model.representation}, resized to {model.size} x {model.size}, {crops} of {model.crop} x "
            f"{model.crop}, BGR{model.subtracted(self.mean_rule)}, {self.engine}"
            + f", weight {weight:.2f}" * weighted
            + "".join(f"; warning: {difference.words}: emotiw evaluate hashes it" for difference in model.unverified)
            for model, weight in zip(self.models, self.weights, strict=True)
        ]

    def mapped(self, rgb: Rgb) -> list[Rgb]:
        """Return a face in each model's representation, at native size, as `emotiw map` writes it."""
        return map_images(rgb, self._representations)

    def inputs(self, rgb: Rgb) -> list[Blob]:
        """Return each model's input for a face.

        The order of operations: map at native size (uint8 RGB) - pycaffe's resize to the mean's side (float32, [0,
        255]) - crops - B, G, R planes minus the mean.

        Returns
        -------
        list of (crops, 3, crop, crop) float32

        Raises
        ------
        ValueError
            If the face is too small for the radius of a representation.
        """
        return [
            net_inputs(
                np.ascontiguousarray(resize(picture, model.size)[..., ::-1].transpose(2, 0, 1)),
                mean,
                self.crops,
                model.transform.scale,
            )
            for picture, model, mean in zip(self.mapped(rgb), self.models, self._means, strict=True)
        ]

    def scores(self, inputs: Sequence[Blob]) -> NDArray[np.float64]:
        """Return the (M, C) posteriors of one face by its inputs.

        Raises
        ------
        DivergedError
            If a net's scores are not numbers.
        """
        ((_, scores),) = self._scored([(None, inputs)])
        return scores

    def average(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted average of (M, ...) posteriors over the models."""
        return np.asarray(np.tensordot(self.weights, scores, axes=1), np.float64)

    def predict(self, faces: Iterable[Face | Failure]) -> Iterator[Prediction | Failure]:
        """Yield the prediction or failure of each face, in order, computed batch by batch."""
        for face, scores in self._scored(map(self._prepared, faces)):
            yield face if isinstance(face, Failure) else Prediction(face, scores, self.average(scores))

    def _prepared(self, face: Face | Failure) -> tuple[Face | Failure, Sequence[Blob]]:
        if isinstance(face, Failure):
            return face, []
        try:
            return face, self.inputs(face.rgb)
        except ValueError as error:
            return Failure(face.image, f"face {face.number}: {error}"), []

    def _scored(self, images: Iterable[tuple[Key, Sequence[Blob]]]) -> Iterator[tuple[Key, NDArray[np.float64]]]:
        nets = [scorer.scores for scorer in self._scorers]
        try:
            yield from posteriors(nets, images, self.crops, BATCH)
        except NotFiniteError as error:
            raise DivergedError(f"{self.models[error.net].weights}: {error}: fetch or train it again") from None
