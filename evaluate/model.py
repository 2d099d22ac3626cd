"""A net that can be run on an image: one of the authors' released models, or a user's own run."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.engine.preprocessing import Mean, input_mean
from emotiw.errors import EmotiwError, UsageError
from emotiw.inputs import DEPLOY as DEPLOY_ROLE
from emotiw.inputs import MEAN as MEAN_ROLE
from emotiw.inputs import MODEL as MODEL_ROLE
from emotiw.inputs import RUN, Difference, Input, Look, taken
from emotiw.prototxt.formats.blobs import array_of, read_mean
from emotiw.prototxt.formats.layer_parameters import TransformationParameter
from emotiw.prototxt.formats.messages import PackedNet, read_binary
from emotiw.prototxt.formats.upgrade import read_net, weighted
from emotiw.prototxt.net_diff import differences
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import committed, input_side, input_transform, nets, uncropped
from emotiw.prototxt.weight_transfer import compare
from emotiw.train.run_folder import Run
from emotiw.train.run_inputs import differences as not_recorded

from .released.catalog import DEPLOY, MEAN, NET, WEIGHTS, is_stand_in, models_folder, released


def _mean_image() -> TransformationParameter:
    """Return the transformation with which the authors' nets and ours were trained."""
    return TransformationParameter(mean_file="mean.binaryproto")


_SUBTRACTED = {
    "resize": "the mean resized to it",
    "crop": "the mean cropped to it",
    "channel": "the mean's average of each channel",
}


@dataclass(frozen=True)
class Provenance:
    """The origin of a net's weights.

    Attributes
    ----------
    title, mark
        A table column's head, and a shorter one.
    absent
        The text of a cell for which no net can exist.
    remedy
        What to do if the weights are damaged.
    mean_rule
        How its own code fits the mean to the input's size: a key of `preprocessing.MEAN_RULES`.
    compared
        Whether its results may be compared with the published ones.
    tag
        The text in brackets after a net's name wherever it is printed; only the part before a colon where space is
        limited.
    """

    title: str
    mark: str
    absent: str
    remedy: str
    mean_rule: str
    compared: bool = True
    tag: str = ""

    def label(self, name: str, *, short: bool = False) -> str:
        """Return a net's name for display."""
        tag = self.tag.partition(":")[0] if short else self.tag
        return f"{name} ({tag})" if tag else name

    def unusual(self, mean_rule: str) -> str:
        """Return the warning about figures whose mean was subtracted by another rule than the nets' own; else empty."""
        if mean_rule == self.mean_rule:
            return ""
        return f"the mean was subtracted by the rule {mean_rule} instead of its own, {self.mean_rule}"


TRAINED = Provenance(
    "trained here",
    "trained here",
    "not trained here",
    "train it again, with a lower base_lr",
    "crop",  # as it was trained  # Deviation D11
)
AUTHORS = Provenance(
    "authors' weights, our code",
    "authors' weights",
    "no released weights",
    "fetch it again",
    "resize",  # the authors' notebook passes the whole mean to caffe.Classifier
)
STAND_INS = Provenance(
    "STAND-INS (random weights), our code",
    "STAND-INS",
    "no released weights",
    AUTHORS.remedy,
    AUTHORS.mean_rule,
    compared=False,
    tag="STAND-IN: random weights",
)


def provenance(name: str, *, stand_in: bool) -> Provenance:
    """Return the origin of a model's weights, by its name and whether its files say that they are random."""
    if name not in released():
        return TRAINED
    return STAND_INS if stand_in else AUTHORS


@dataclass(frozen=True)
class Model:
    """A deploy net with its weights, its mean, and the preprocessing of its input.

    Attributes
    ----------
    name
        The authors' (`VGG_S_rgb`), or a run's `<row>/<stage>`.
    net, representation
        Both by name.
    deploy, weights, mean_file
        Its files.
    classes
        The names of the classes, in label order.
    mean_rule
        How its training code fits the mean to the input's size: a key of `preprocessing.MEAN_RULES`.
    stand_in
        Whether its weights are random stand-ins for the authors'.
    unverified
        The files that may differ from the recorded ones, because they were not hashed.
    faces
        The part of each image on which it was trained, as in `PreparedSet.faces`; empty if unknown.
    set_digest
        The digest of the set on which it was trained; empty if unknown.
    transform
        The transformation of its images in training, besides crops and mirrors: a mean image, or values; the scale.
    row
        A run's name in tables; empty: `<net>-<representation>`.
    """

    name: str
    net: str
    representation: str
    deploy: Path
    weights: Path
    mean_file: Path
    classes: tuple[str, ...]
    mean_rule: str
    stand_in: bool = False
    unverified: tuple[Difference, ...] = ()
    faces: str = ""
    set_digest: str = ""
    transform: TransformationParameter = field(default_factory=_mean_image, hash=False)
    row: str = ""

    @property
    def provenance(self) -> Provenance:
        """The origin of its weights."""
        return provenance(self.name, stand_in=self.stand_in)

    @property
    def title(self) -> str:
        """The name for display."""
        label = self.provenance.label(self.name)
        roles = ", ".join(difference.role for difference in self.unverified)
        return f"{label} (NOT VERIFIED: {roles})" if roles else label

    @property
    def short_title(self) -> str:
        """The name next to its scores: a run's is its row."""
        if self.provenance is TRAINED:
            return self.row or f"{self.net}-{self.representation}"
        return self.title

    @cached_property
    def inputs(self) -> list[Input]:
        """The record of its files, made at the first access."""
        files = {MODEL_ROLE: self.weights, DEPLOY_ROLE: self.deploy, MEAN_ROLE: self.mean_file}
        if self.provenance is TRAINED:
            files[RUN] = self.weights.with_name("run.json")
        within = self.provenance is TRAINED
        return [taken(role, path, name=path.name if within else "") for role, path in files.items()]

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """The mean image, (3, size, size), B, G, R."""
        return read_mean(self.mean_file)

    @property
    def size(self) -> int:
        """Side of images before cropping, in pixels; a user's own net may have any ratio to the crop."""
        own = self.provenance is TRAINED and self.net not in nets()
        return int(self.mean.shape[-1]) if own else uncropped(self.crop)

    @cached_property
    def crop(self) -> int:
        """Side of the net's input, in pixels."""
        return input_side(read_net(self.deploy), self.deploy)

    def taken_rule(self, rule: str = "") -> str:
        """Return the rule by which its mean is subtracted if `rule` is asked for: without a mean image, its own.

        Parameters
        ----------
        rule
            A key of `preprocessing.MEAN_RULES`; empty: its own rule.
        """
        return rule if rule and self.transform.mean_file else self.mean_rule

    def input_mean(self, rule: str = "") -> Mean:
        """Return the (3, crop, crop) mean to subtract, by its own rule or the given one."""
        return input_mean(self.mean, self.transform, self.crop, self.taken_rule(rule))

    def subtracted(self, rule: str = "") -> str:
        """Describe the subtraction of the mean, by its own rule or the given one, and the scaling of its input."""
        taken = _SUBTRACTED[self.taken_rule(rule)]
        if self.transform.mean_value:
            taken = f"the mean {' / '.join(f'{value:g}' for value in self.transform.mean_value)}"
        minus = f", minus {taken}" if self.transform.mean_file or self.transform.mean_value else ", without a mean"
        return minus if self.transform.scale == 1 else f"{minus}, times {self.transform.scale:g}"


def open_model(named: str | Path, look: Look = Look.STAT) -> Model:
    """Return a released model by its name, or the one in a folder: a run's, or one in the authors' layout.

    Parameters
    ----------
    look
        How much of a run is hashed if its files may differ from those recorded in its run.json.

    Raises
    ------
    EmotiwError
        If it is not here, or its files are incomplete or do not belong together: Caffe itself would fill a layer that
        the weights lack, without a warning.
    """
    model = _find(str(named), look)
    if look is not Look.STAT:
        _ = model.inputs  # recorded before reading, so that a later replacement is noticed
    check(model)
    return model


def open_models(named: Iterable[str | Path]) -> list[Model]:
    """Return models, without duplicates; see `open_model`."""
    models = [open_model(name) for name in dict.fromkeys(named)]
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"two models are named {twice}: give one of them")
    return models


def check(model: Model) -> PackedNet:
    """Raise if a model's files do not belong together; return its parsed weights."""
    for file in (model.deploy, model.weights, model.mean_file):
        if not file.is_file():
            raise EmotiwError(f"{model.name} is incomplete: {file} is missing")
    deploy, weights = read_net(model.deploy), read_binary(model.weights, PackedNet)
    copy = compare(weights, shapes(deploy)[1])
    wrong = [f"{layer} is {words}" for layer, words in copy.misfits.items()]
    wrong += [f"{layer} has no weights" for layer in copy.new]
    if wrong:
        raise EmotiwError(
            f"{model.weights} does not belong to {model.deploy.name}: {'; '.join(wrong[:3])}: give both of one net"
        )
    if model.provenance is not TRAINED and (unlike := differences(deploy, committed(model.net, DEPLOY))):
        raise EmotiwError(f"{model.deploy} is not the authors' net: {'; '.join(unlike[:3])}: fetch it again")
    _refuse_nan(model.weights, weights)
    if model.mean.shape != (3, model.size, model.size) or model.size < model.crop:
        raise EmotiwError(
            f"{model.mean_file} is a mean of {' x '.join(map(str, model.mean.shape))}: a net with an input of "
            f"{model.crop} x {model.crop} has one of 3 x {model.size} x {model.size}: give its own"
        )
    if not np.isfinite(model.mean).all():
        raise EmotiwError(f"{model.mean_file} holds values that are not numbers: fetch or make it again")
    return weights


def _refuse_nan(path: Path, weights: PackedNet) -> None:
    """Raise if a weight is not finite: Caffe's MAX pooling drops NaNs, so the net would still return scores."""
    for layer, blobs in weighted(weights).items():
        if not all(np.isfinite(array_of(blob, f"{path}: {layer}")).all() for blob in blobs):
            raise EmotiwError(
                f"{path}: {layer} holds weights that are not numbers (NaN or infinite): fetch it again, or "
                "train it again with a lower base_lr"
            )


def _find(named: str, look: Look) -> Model:
    if named in released():
        folder = models_folder() / named
        if not (folder / WEIGHTS).is_file():
            raise EmotiwError(f"{named} is not here: fetch it with emotiw models fetch {named}")
        return released_in(folder)
    folder = Path(named)
    run = Run(folder)
    if run.started:
        return of_run(run, look)
    if folder.name in released() and (folder / WEIGHTS).is_file():
        return released_in(folder)
    raise EmotiwError(f"{named} is not a model: give one of {', '.join(released())}, or the folder of a finished run")


def released_in(folder: Path) -> Model:
    """Return the released model in the folder with its name."""
    return Model(
        folder.name,
        NET,
        released()[folder.name].representation,
        folder / DEPLOY,
        folder / WEIGHTS,
        folder / MEAN,
        EMOTIONS,
        AUTHORS.mean_rule,
        stand_in=any(map(is_stand_in, (folder / WEIGHTS, folder / MEAN, folder / DEPLOY))),
    )


def of_run(run: Run, look: Look = Look.STAT) -> Model:
    """Return the model of a finished run.

    Raises
    ------
    EmotiwError
        If it is not finished, or a file's digest differs from the one in its run.json.
    """
    facts = run.facts()
    if run.published:
        raise EmotiwError(f"{run.folder} is the record of a run, without its weights: give the run itself")
    if not run.finished:
        raise EmotiwError(f"{run.folder} is not finished: continue with emotiw {facts.stage} {facts.row}")
    found = list(not_recorded(run, look))
    if proven := [difference.words for difference in found if difference.proven]:
        raise EmotiwError(f"{proven[0]}: put it back, or train the run again with --force")
    return Model(
        f"{facts.row}/{facts.stage}",
        facts.net,
        facts.representation,
        run.folder / "deploy.prototxt",
        run.model,
        run.folder / "mean.binaryproto",
        tuple(facts.classes),
        TRAINED.mean_rule,
        unverified=tuple(found),
        faces=facts.faces,
        set_digest=facts.set_digest,
        transform=_trained_with(run),
        row=facts.row,
    )


def _trained_with(run: Run) -> TransformationParameter:
    try:
        return input_transform(run.train_val(), run.folder / "train_val.prototxt")
    except FileNotFoundError:
        raise EmotiwError(f"{run.folder} is incomplete: train_val.prototxt is missing, which has its scale") from None
