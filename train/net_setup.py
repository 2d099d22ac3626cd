"""Prepare a run's net for training: the prototxt as executed on a set, and the starting weights."""

from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Literal

from google.protobuf.message import Message

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import whole, write_text
from emotiw.prototxt.formats.hdf5 import is_hdf5, read_hdf5_layers
from emotiw.prototxt.formats.messages import (
    NetParameter,
    PackedNet,
    SolverParameter,
    format_text,
    read_binary,
    read_text,
)
from emotiw.prototxt.message_diff import changes
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.solvers import merged
from emotiw.prototxt.surgery import batch_size, classifiers, deploy, rename_layers, use_classes, use_set
from emotiw.prototxt.weight_transfer import Copy, compare

from .experiments import Experiment, require_solver
from .run_folder import Run

Existing = Literal["continue", "renew", "replace"]


@dataclass(frozen=True)
class TrainOptions:
    """Options of a stage that override its row.

    Attributes
    ----------
    weights
        The caffemodel or HDF5 file to start from, copied by layer name; None: from the fillers.
    iterations, epochs
        Replace the solver's `max_iter`; at most one of them is given: a number of iterations, or of passes over the
        training images.
    seed
        Seed of fillers, dropout, crops and mirrors; None: the row's, else 1.
    existing
        What to do with a run in the folder. "continue": resume it; a different run is an error. "renew": resume the
        same run, remove a different one. "replace": remove it.
    """

    weights: Path | None = None
    iterations: int | None = None
    seed: int | None = None
    existing: Existing = "continue"
    epochs: float | None = None

    def iterations_of(self, experiment: Experiment, stage: str, prepared: PreparedSet) -> int:
        """Return the number of iterations of a row's stage on a set; 0 if none is given."""
        solver = experiment.solver(stage)
        epochs = None if self.iterations else self.epochs or experiment.epochs
        if not epochs:
            return self.iterations or solver.max_iter
        batch, images = batch_size(experiment.train_val(stage)) * solver.iter_size, prepared.count("train")
        if batch > images:
            raise UsageError(
                f"{experiment.row}, {stage}: an iteration takes {batch} images and the set has {images}: epochs are "
                "not possible; give --iterations, or a net with a smaller batch_size"
            )
        return ceil(round(epochs * images / batch, 9))

    def seed_of(self, experiment: Experiment, stage: str) -> int:
        """Return the seed of a row's stage: this one, else the row's, else its solver's, else 1."""
        text = experiment.solver(stage)
        own = text.random_seed if text.HasField("random_seed") else 1
        return next(seed for seed in (self.seed, experiment.seed, own) if seed is not None)


DEFAULTS = TrainOptions()


@dataclass(frozen=True)
class NetSetup:
    """A stage's net and solver on a set, and the weights to start from.

    Attributes
    ----------
    train_val, solver
        A NetParameter with the set's number of classes, and a SolverParameter with these iterations and seed.
    weights, copy
        The caffemodel to start from, and what Caffe will copy from it; None: from the fillers.
    """

    experiment: Experiment
    stage: str
    prepared: PreparedSet
    train_val: NetParameter
    solver: SolverParameter
    weights: Path | None
    copy: Copy | None

    @property
    def batch(self) -> int:
        """The number of images in an iteration."""
        return batch_size(self.train_val) * self.solver.iter_size

    @property
    def of_other_length(self) -> bool:
        """Whether it ends at another iteration than the row's solver, for which the schedule was made."""
        return self.solver.max_iter != self.experiment.solver(self.stage).max_iter

    def write(self, folder: Path) -> None:
        """Write train_val, deploy, solver and mean into a run folder; the net names this set's LMDBs."""
        for name, message in self.messages().items():
            write_text(folder / f"{name}.prototxt", format_text(message))
        with whole(folder / "mean.binaryproto") as temporary:
            temporary.write_bytes(self.prepared.mean_file(self.experiment.representation).read_bytes())

    def messages(self) -> dict[str, Message]:
        """Return train_val, deploy and solver as executed, by file name."""
        set_folder, representation = self.prepared.folder.resolve(), self.experiment.representation
        splits = {"TRAIN": "train", "TEST": "val"}
        lmdbs = {phase: str(set_folder / representation / f"{split}_lmdb") for phase, split in splits.items()}
        train_val, solver = deepcopy(self.train_val), deepcopy(self.solver)
        use_set(train_val, lmdbs, "mean.binaryproto")
        solver.net = "train_val.prototxt"
        most = solver.max_iter
        solver.snapshot = min(solver.snapshot or most, most)
        # A diverging loss must be displayed before the last good snapshot is pruned.
        solver.display = min(solver.display or most, solver.snapshot, max(1, most // 20))
        return {"train_val": train_val, "deploy": deploy(train_val), "solver": solver}

    def asked(self, folder: Path) -> list[str]:
        """Return how this setup differs from the one executed in a run folder, as text: there -> here.

        Differences that follow from the set's location and the number of iterations are ignored.
        """
        found = []
        for name, message in self.messages().items():
            path = folder / f"{name}.prototxt"
            if name != "deploy" and path.is_file():
                found += changes(read_text(path, type(message)), message, _FOLLOWING)
        return found

    def edited(self, folder: Path, executed: int) -> list[str]:
        """Return how the files in a run folder of the same recipe were edited, as text: as executed -> there.

        Parameters
        ----------
        executed
            The iterations in the run's record. A run that was stopped between writing its files and its record has
            those of this setup.
        """
        before = replace(self, solver=merged(self.solver, SolverParameter(max_iter=executed)))
        return min((before._edits(folder), self._edits(folder)), key=len)

    def _edits(self, folder: Path) -> list[str]:
        found = []
        for name, message in self.messages().items():
            path = folder / f"{name}.prototxt"
            if path.is_file():
                there = changes(message, read_text(path, type(message)), _PLACE)
                found += [f"{path.name}: {change}" for change in there]
        return found


_PLACE = ("source",)
# Fields that may differ between two executions of the same recipe.
_FOLLOWING = ("source", "net", "max_iter", "snapshot", "display", "random_seed")


def set_up(experiment: Experiment, stage: str, prepared: PreparedSet, options: TrainOptions = DEFAULTS) -> NetSetup:
    """Return a stage's net and solver for execution on a set.

    Raises
    ------
    EmotiwError
        If the weights do not fit the net; see `fit`.
    UsageError
        If no engine would accept the solver, or an epoch is less than an iteration.
    """
    train_val, solver = experiment.train_val(stage), experiment.solver(stage)
    use_classes(train_val, len(prepared.classes))
    copy = None
    if options.weights:
        other = trained_classes(options.weights) not in (None, prepared.classes)
        copy = fit(train_val, options.weights, new_classes=other)
    if iterations := options.iterations_of(experiment, stage, prepared):
        solver.max_iter = iterations
    solver.random_seed = options.seed_of(experiment, stage)
    require_solver(solver, f"{experiment.row}, {stage}")
    return NetSetup(experiment, stage, prepared, train_val, solver, options.weights, copy)


def trained_classes(weights: Path) -> list[str] | None:
    """Return the classes of the run that weights come from; None if they are not those of a run."""
    run = Run(weights.parent)
    return run.facts().classes if run.started else None


def fit(train_val: NetParameter, weights: Path, *, new_classes: bool = False) -> Copy:
    """Return what Caffe will copy from `weights`; a last layer of another width is renamed in `train_val`.

    This way weights for 1000 classes can start a net for other classes, as is done by hand in Caffe's fine-tuning
    example.

    Parameters
    ----------
    new_classes
        Whether the weights are known to be for other classes, so that a last layer of the same width is renamed, too.

    Raises
    ------
    EmotiwError
        If another layer has the same name and another shape, which is fatal in Caffe, with all such layers; or
        if no layer would be copied, for which Caffe gives no warning.
    """
    source = read_hdf5_layers(weights) if is_hdf5(weights) else read_binary(weights, PackedNet)
    copy = compare(source, shapes(train_val)[1])
    same_width = copy.copied if new_classes else ()
    if renamed := {*copy.misfits, *same_width} & classifiers(train_val):
        rename_layers(train_val, renamed)
        copy = compare(source, shapes(train_val)[1])
    if copy.misfits:
        misfits = "; ".join(f"{layer} is {words}" for layer, words in copy.misfits.items())
        raise EmotiwError(f"{weights} does not fit {train_val.name}: {misfits}: give the weights of a net like it")
    if not copy.copied:
        raise EmotiwError(f"{weights} has no layer of {train_val.name}: give the weights of a net like it")
    return copy
