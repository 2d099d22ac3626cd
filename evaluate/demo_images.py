"""The demo image beside each released model, and what the authors' notebook printed for it.

Each model of the authors' DemoDir.zip has a `demo_image.png` beside it. Their notebook, EmotiW_Demo.ipynb, passes it to
`caffe.Classifier` as it is, so for the models of codes it is mapped already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.images import UnreadableImageError, read_image
from emotiw.engine.base import DivergedError, Engine
from emotiw.engine.inference import posteriors
from emotiw.engine.preprocessing import net_inputs, resize
from emotiw.engine.settings import MEANS
from emotiw.errors import EmotiwError

from .model import AUTHORS, open_model
from .released.catalog import DEMO, is_stand_in, models_folder, released

NOTEBOOK: Mapping[str, str] = {
    "VGG_S_rgb": "Angry",
    "VGG_S_lbp": "Angry",
    "VGG_S_cyclic_lbp": "Fear",
    "VGG_S_cyclic_lbp_5": "Angry",
    "VGG_S_cyclic_lbp_10": "Angry",
}
"""The printed outputs of EmotiW_Demo.ipynb, github.com/GilLevi/AgeGenderDeepLearning."""


@dataclass(frozen=True)
class Answer:
    """A model's posteriors of its demo image.

    Attributes
    ----------
    name
        The model.
    sides
        Height and width of the image, in pixels.
    classes
        The names of the classes, in label order.
    posteriors : (C,) float64 each
        By each rule for the mean, a key of `preprocessing.MEAN_RULES`.
    """

    name: str
    sides: tuple[int, int]
    classes: Sequence[str]
    posteriors: Mapping[str, NDArray[np.float64]]

    def best(self, rule: str) -> str:
        """Return the most probable class."""
        return self.classes[int(self.posteriors[rule].argmax())]

    def agrees(self, rule: str) -> bool:
        """Return whether that is what the notebook printed."""
        return self.best(rule) == NOTEBOOK[self.name]

    def __str__(self) -> str:
        """Return the answers by all rules in one line."""
        said = [f"{self.best(rule)} {self.posteriors[rule].max():.4f} ({rule})" for rule in self.posteriors]
        height, width = self.sides
        return f"{self.name}: {DEMO}, {width} x {height}: {', '.join(said)}; the notebook: {NOTEBOOK[self.name]}"


def why_not(name: str) -> str:
    """Return why a model cannot be asked; empty if it can."""
    folder = models_folder() / name
    if any(is_stand_in(folder / file) for file in released()[name].files):
        return "a STAND-IN cannot be asked: its weights are random"
    if not (folder / DEMO).is_file():
        return (
            f"no {DEMO} is beside it: single files by id bring none; emotiw models fetch {name} --from DemoDir.zip does"
        )
    return ""


def ask(name: str, engine: Engine) -> Answer:
    """Return a model's answer to its demo image, as the notebook asks: by `caffe.Classifier` with the centre crop.

    Raises
    ------
    EmotiwError
        If the image cannot be read, the model is incomplete, or its scores are not numbers.
    """
    model, path = open_model(name), models_folder() / name / DEMO
    try:
        rgb = read_image(path)
    except UnreadableImageError as error:
        raise EmotiwError(
            f"{path} is not an image: {error}: emotiw models fetch {name} --from DemoDir.zip --force"
        ) from None
    bgr = np.ascontiguousarray(resize(rgb, model.size)[..., ::-1].transpose(2, 0, 1))
    inputs = ((rule, [net_inputs(bgr, model.input_mean(rule))]) for rule in MEANS)
    try:
        with engine.scorer(model.deploy, model.weights) as scorer:
            found = {rule: scores for rule, (scores,) in posteriors([scorer.scores], inputs)}
    except DivergedError as error:
        raise DivergedError(f"{model.weights}: {error}: {AUTHORS.remedy}") from None
    return Answer(name, (rgb.shape[0], rgb.shape[1]), model.classes, found)


def verdicts(answers: Sequence[Answer]) -> list[str]:
    """Return a line for each rule for the mean: whether all five models agree with the notebook."""
    return [f"{rule}{_NOTES.get(rule, '')}: {_verdict(answers, rule)}" for rule in MEANS]


_NOTES = {AUTHORS.mean_rule: " (what current Caffe does with the notebook's mean)"}


def _verdict(answers: Sequence[Answer], rule: str) -> str:
    others = [each for each in answers if not each.agrees(rule)]
    absent = len(NOTEBOOK) - len(answers)
    if not others and not absent:
        return "all five answers are the notebook's"
    words = [f"{len(answers) - len(others)} of {len(answers)} answers are the notebook's"]
    words += [f"{each.name} says {each.best(rule)}, not {NOTEBOOK[each.name]}" for each in others]
    if absent:
        words.append(f"{absent} of the five not asked")
    return "; ".join(words)


def fault(names: Sequence[str], answers: Sequence[Answer]) -> str:
    """Return why these models are not proven to answer as the notebook does; empty if they are."""
    other = [each.name for each in answers if not each.agrees(AUTHORS.mean_rule)]
    silent = [name for name in names if name not in {each.name for each in answers}]
    if other:
        return (
            f"{', '.join(other)} does not answer as the authors' notebook printed: fetch it again, or name another "
            "Caffe by --caffe"
        )
    return f"the demo image was not asked of {', '.join(silent)}, as listed" if silent else ""
