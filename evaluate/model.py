"""A net that can be run on an image: one of the authors' released models, or a run of one's own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.engine.preprocessing import input_mean
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
    """Return what the authors' nets and ours were trained with."""
    return TransformationParameter(mean_file="mean.binaryproto")


@dataclass(frozen=True)
class Provenance:
    """Where the weights of a net come from.

    Attributes
    ----------
    title, mark
        A table column's head, and a shorter one.
    absent
        Why a place of the column is empty where no net could fill it.
    remedy
        What to do where the weights are damaged.
    compared
        Whether its figures may be held against the published ones.
    tag
        What stands behind a net's name wherever it is printed, in brackets; the part before a colon where space is
        short.
    """

    title: str
    mark: str
    absent: str
    remedy: str
    compared: bool = True
    tag: str = ""

    def label(self, name: str, *, short: bool = False) -> str:
        """Return a net's name as it is printed."""
        tag = self.tag.partition(":")[0] if short else self.tag
        return f"{name} ({tag})" if tag else name


TRAINED = Provenance("trained here", "trained here", "not trained here", "train it anew, with a lower base_lr")
AUTHORS = Provenance("authors' weights, our code", "authors' weights", "no released weights", "fetch it anew")
STAND_INS = Provenance(
    "STAND-INS (random weights), our code",
    "STAND-INS",
    "no released weights",
    "fetch it anew",
    compared=False,
    tag="STAND-IN: random weights",
)


def provenance(name: str, *, stand_in: bool) -> Provenance:
    """Return where the weights of a model come from, by its name and whether its files say that they are random."""
    if name not in released():
        return TRAINED
    return STAND_INS if stand_in else AUTHORS


@dataclass(frozen=True)
class Model:
    """A deploy net with its weights and its mean, and what it takes as its input.

    Attributes
    ----------
    name
        The authors' (`VGG_S_rgb`), or a run's `<row>/<stage>`.
    net, representation
        Both by name.
    deploy, weights, mean_file
        Its files.
    classes
        By name, in label order.
    mean_rule
        How its maker brings the mean to the input's size: a key of `preprocessing.MEAN_RULES`.
    stand_in
        Whether its weights are random, in the place of the authors'.
    unverified
        Which of its files may not be the ones on record: they were not hashed.
    faces
        What of a picture it was trained on, as in `PreparedSet.faces`; empty where that is not known.
    set_digest
        Of the set that it was trained on; empty where that is not known.
    transform
        What was done to its images in training, beside crops and mirrors: a mean image, or values; the scale.
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
        """Where its weights come from."""
        return provenance(self.name, stand_in=self.stand_in)

    @property
    def title(self) -> str:
        """The name as it is printed."""
        label = self.provenance.label(self.name)
        roles = ", ".join(difference.role for difference in self.unverified)
        return f"{label} (NOT VERIFIED: {roles})" if roles else label

    @property
    def short_title(self) -> str:
        """The name beside its scores: a run's is its row."""
        if self.provenance is TRAINED:
            return self.row or f"{self.net}-{self.representation}"
        return self.title

    @cached_property
    def inputs(self) -> list[Input]:
        """The record of its files, as they are when it is first asked for."""
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
        """Side that images are resized to before they are cropped, in pixels; a net of one's own crops as it likes."""
        own = self.provenance is TRAINED and self.net not in nets()
        return int(self.mean.shape[-1]) if own else uncropped(self.crop)

    @cached_property
    def crop(self) -> int:
        """Side of the net's input, in pixels."""
        return input_side(read_net(self.deploy), self.deploy)

    def input_mean(self, rule: str = "") -> NDArray[np.float32]:
        """Return the (3, crop, crop) mean to subtract, by its own rule or another one."""
        return input_mean(self.mean, self.transform, self.crop, rule or self.mean_rule)

    def subtracted(self, rule: str = "") -> str:
        """Return in words what its input is less, by its own rule or another one, and times."""
        taken = {"resize": "the mean resized to it", "crop": "the mean cropped to it"}[rule or self.mean_rule]
        if self.transform.mean_value:
            taken = f"the mean {' / '.join(f'{value:g}' for value in self.transform.mean_value)}"
        minus = f", minus {taken}" if self.transform.mean_file or self.transform.mean_value else ", without a mean"
        return minus if self.transform.scale == 1 else f"{minus}, times {self.transform.scale:g}"


def open_model(named: str | Path, look: Look = Look.STAT) -> Model:
    """Return a released model by its name, or the one in a folder: a run's, or one in the authors' layout.

    Parameters
    ----------
    look
        How much of a run is hashed, where its files may not be the ones that its run.json names.

    Raises
    ------
    EmotiwError
        Where it is not here, or its files are not whole or do not belong together: Caffe itself would fill a layer
        that the weights lack, and say nothing.
    """
    model = _find(str(named), look)
    if look is not Look.STAT:
        _ = model.inputs  # before they are read, so that it is noticed if they are replaced
    check(model)
    return model


def open_models(named: Iterable[str | Path]) -> list[Model]:
    """Return models, each once however often it is named; see `open_model`."""
    models = [open_model(name) for name in dict.fromkeys(named)]
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"two models are called {twice}: give one of them")
    return models


def check(model: Model) -> PackedNet:
    """Raise where a model's files do not belong together; return its weights, as read."""
    for file in (model.deploy, model.weights, model.mean_file):
        if not file.is_file():
            raise EmotiwError(f"{model.name} is not whole: {file} is missing")
    deploy, weights = read_net(model.deploy), read_binary(model.weights, PackedNet)
    copy = compare(weights, shapes(deploy)[1])
    wrong = [f"{layer} is {words}" for layer, words in copy.misfits.items()]
    wrong += [f"{layer} has no weights" for layer in copy.new]
    if wrong:
        raise EmotiwError(
            f"{model.weights} does not belong to {model.deploy.name}: {'; '.join(wrong[:3])}: give both of one net"
        )
    if model.provenance is not TRAINED and (unlike := differences(deploy, committed(model.net, DEPLOY))):
        raise EmotiwError(f"{model.deploy} is not the authors' net: {'; '.join(unlike[:3])}: fetch it anew")
    _refuse_nan(model.weights, weights)
    if model.mean.shape != (3, model.size, model.size) or model.size < model.crop:
        raise EmotiwError(
            f"{model.mean_file} is a mean of {' x '.join(map(str, model.mean.shape))}: a net with an input of "
            f"{model.crop} x {model.crop} has one of 3 x {model.size} x {model.size}: give its own"
        )
    if not np.isfinite(model.mean).all():
        raise EmotiwError(f"{model.mean_file} holds values that are no numbers: fetch or make it anew")
    return weights


def _refuse_nan(path: Path, weights: PackedNet) -> None:
    """Raise where a weight is no number: Caffe's MAX pooling lets a NaN vanish, and the net answers all the same."""
    for layer, blobs in weighted(weights).items():
        if not all(np.isfinite(array_of(blob, f"{path}: {layer}")).all() for blob in blobs):
            raise EmotiwError(
                f"{path}: {layer} holds weights that are no numbers (NaN or infinite): fetch it again, or "
                "train it anew with a lower base_lr"
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
    raise EmotiwError(f"{named} is no model: give one of {', '.join(released())}, or the folder of a finished run")


def released_in(folder: Path) -> Model:
    """Return the released model in a folder of its name."""
    return Model(
        folder.name,
        NET,
        released()[folder.name].representation,
        folder / DEPLOY,
        folder / WEIGHTS,
        folder / MEAN,
        EMOTIONS,
        "resize",  # the authors' notebook hands caffe.Classifier the whole mean
        stand_in=any(map(is_stand_in, (folder / WEIGHTS, folder / MEAN, folder / DEPLOY))),
    )


def of_run(run: Run, look: Look = Look.STAT) -> Model:
    """Return the model of a finished run.

    Raises
    ------
    EmotiwError
        If it is not finished, or a digest says that a file is not the one that its run.json names.
    """
    facts = run.facts()
    if run.published:
        raise EmotiwError(f"{run.folder} is the record of a run, without its weights: give the run itself")
    if not run.finished:
        raise EmotiwError(f"{run.folder} is not finished: go on with emotiw {facts.stage} {facts.row}")
    found = list(not_recorded(run, look))
    if proven := [difference.words for difference in found if difference.proven]:
        raise EmotiwError(f"{proven[0]}: put it back, or train the run anew with --force")
    return Model(
        f"{facts.row}/{facts.stage}",
        facts.net,
        facts.representation,
        run.folder / "deploy.prototxt",
        run.model,
        run.folder / "mean.binaryproto",
        tuple(facts.classes),
        "crop",  # as it was trained  # Deviation D11
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
        raise EmotiwError(f"{run.folder} is not whole: train_val.prototxt is missing, which says its scale") from None
