"""The net of a run before it trains: the prototxt as executed on a set, and the weights to start from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.errors import EmotiwError
from emotiw.files import whole, write_text
from emotiw.prototxt.formats.messages import NetParameter, PackedNet, SolverParameter, format_text, read_binary
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import classifiers, deploy, name_anew, use_classes, use_set
from emotiw.prototxt.weight_transfer import Copy, compare

from .experiments import Experiment

Existing = Literal["continue", "renew", "replace"]


@dataclass(frozen=True)
class TrainOptions:
    """How a stage is trained, where it is not as its row says.

    Attributes
    ----------
    weights
        The caffemodel to start from, copied by layer name; None: from the fillers.
    iterations
        Instead of the solver's `max_iter`.
    seed
        Of fillers, dropout, crops and mirrors.
    existing
        What becomes of a run that the folder holds. "continue": it goes on; another run than this is an error. "renew":
        this run goes on, another is removed. "replace": it is removed.
    """

    weights: Path | None = None
    iterations: int | None = None
    seed: int = 1
    existing: Existing = "continue"


DEFAULTS = TrainOptions()


@dataclass(frozen=True)
class NetSetup:
    """A stage's net and solver on a set, and the weights to start from.

    Attributes
    ----------
    train_val, solver
        A NetParameter, as wide as the set has classes, and a SolverParameter, with these iterations and seed.
    weights, copy
        The caffemodel to start from, and what Caffe will copy of it; None: from the fillers.
    """

    experiment: Experiment
    stage: str
    prepared: PreparedSet
    train_val: NetParameter
    solver: SolverParameter
    weights: Path | None
    copy: Copy | None

    def write(self, folder: Path) -> None:
        """Write train_val, deploy, solver and mean into a run folder; they name the LMDBs of this set."""
        set_folder, representation = self.prepared.folder.resolve(), self.experiment.representation
        splits = {"TRAIN": "train", "TEST": "val"}
        lmdbs = {phase: str(set_folder / representation / f"{split}_lmdb") for phase, split in splits.items()}
        use_set(self.train_val, lmdbs, "mean.binaryproto")
        solver = self.solver
        solver.net = "train_val.prototxt"
        solver.snapshot = min(solver.snapshot, solver.max_iter)
        # A diverging loss must show before the last good snapshot is pruned.
        solver.display = min(solver.display, solver.snapshot, max(1, solver.max_iter // 20))
        messages = {"train_val": self.train_val, "deploy": deploy(self.train_val), "solver": solver}
        for name, message in messages.items():
            write_text(folder / f"{name}.prototxt", format_text(message))
        with whole(folder / "mean.binaryproto") as temporary:
            temporary.write_bytes(self.prepared.mean_file(representation).read_bytes())


def set_up(experiment: Experiment, stage: str, prepared: PreparedSet, options: TrainOptions = DEFAULTS) -> NetSetup:
    """Return a stage's net and solver as they are to be executed on a set.

    Raises
    ------
    EmotiwError
        If the weights do not fit the net; see `fit`.
    """
    train_val, solver = experiment.train_val(stage), experiment.solver(stage)
    use_classes(train_val, len(prepared.classes))
    copy = fit(train_val, options.weights) if options.weights else None
    solver.max_iter = options.iterations or solver.max_iter
    solver.random_seed = options.seed
    return NetSetup(experiment, stage, prepared, train_val, solver, options.weights, copy)


def fit(train_val: NetParameter, weights: Path) -> Copy:
    """Return what Caffe will copy of `weights`; a last layer of another width is named anew in `train_val`.

    Weights of 1000 classes can so start a net of other classes, as by hand in Caffe's fine-tuning example.

    Raises
    ------
    EmotiwError
        Where another layer has the same name and another shape, which is fatal in Caffe, with all such layers; or
        where no layer would be copied, which Caffe does in silence.
    """
    source = read_binary(weights, PackedNet)
    copy = compare(source, shapes(train_val)[1])
    if renamed := copy.misfits.keys() & classifiers(train_val):
        name_anew(train_val, renamed)
        copy = compare(source, shapes(train_val)[1])
    if copy.misfits:
        misfits = "; ".join(f"{layer} is {words}" for layer, words in copy.misfits.items())
        raise EmotiwError(f"{weights} does not fit {train_val.name}: {misfits}: give the weights of a net like it")
    if not copy.copied:
        raise EmotiwError(f"{weights} has no layer of {train_val.name}: give the weights of a net like it")
    return copy
