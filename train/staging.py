"""One stage of one row: from a prepared set to a run folder with its model."""

import hashlib
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emotiw import __version__
from emotiw.data_prep.sets import PreparedSet
from emotiw.engine.caffe.describe import version
from emotiw.engine.caffe.locate import Caffe
from emotiw.engine.caffe.training import train
from emotiw.engine.events import DivergedError
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import remove, whole, write_text
from emotiw.prototxt.execution import crop_size, deploy, set_size, use_classes, use_set
from emotiw.prototxt.messages import format_text

from .experiments import Experiment
from .progress import Progress, draw_curves
from .runs import Facts, Run
from .validation import validation_accuracy

_KEPT_SNAPSHOTS = 2


def run_stage(
    experiment: Experiment,
    stage: str,
    prepared: PreparedSet,
    run: Run,
    caffe: Caffe,
    weights: Path | None = None,
    iterations: int | None = None,
    seed: int = 1,
) -> None:
    """Carry out a stage in `run.folder`, or go on with it, until `run.model` is there.

    Parameters
    ----------
    weights
        The caffemodel to start from, copied by layer name; None: from the fillers.
    iterations
        Instead of the solver's `max_iter`.
    seed
        Of fillers, dropout, crops and mirrors.

    Raises
    ------
    EmotiwError
        Where set and net do not fit, the folder holds another run, Caffe fails or the loss diverges.
    """
    train_val, solver = experiment.train_val(stage), experiment.solver(stage)
    _check_fit(experiment, train_val, prepared)
    solver.max_iter = iterations or solver.max_iter
    facts = Facts(
        experiment.row, stage, experiment.net, experiment.representation, "caffe", version(caffe),
        str(prepared.folder.resolve()), prepared.digest, prepared.classes, seed, solver.max_iter,
        str(weights.resolve()) if weights else "", _sha256(weights) if weights else "", __version__,
    )  # fmt: skip
    if (run.folder / "run.json").exists():
        _go_on(run, facts)
        if run.finished:
            return
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write_facts(facts)
    _write_prototxt(run, train_val, solver, prepared, experiment.representation, seed)
    good = run.snapshots()
    run.remove_snapshots([state for _, state in good])
    start, state = good[-1] if good else (0, None)
    with Progress(
        run.folder, start, solver.max_iter, _prior_loss(prepared), partial(validation_accuracy, run, prepared, caffe)
    ) as progress:
        if start < solver.max_iter:
            _train(run, caffe, progress, None if state else weights, state)
    _finish(run, facts, progress)


def _check_fit(experiment: Experiment, train_val: Any, prepared: PreparedSet) -> None:
    prepared.lmdb(experiment.representation, "train")
    if prepared.size != set_size(train_val):
        size = set_size(train_val)
        raise UsageError(
            f"{prepared.folder} has {prepared.size}-pixel images and {experiment.net} crops {crop_size(train_val)} "
            f"of {size}: prepare the set with --size {size}"
        )


def _go_on(run: Run, facts: Facts) -> None:
    """Check that the folder holds the same run; where it finished short of what is asked now, reopen it."""
    known = run.facts()
    if differences := known.differences(facts):
        raise EmotiwError(
            f"{run.folder} holds another run ({'; '.join(differences)}): name another -o, or give --force"
        )
    if run.finished and known.iterations < facts.iterations:
        remove(run.model)


def _write_prototxt(
    run: Run, train_val: Any, solver: Any, prepared: PreparedSet, representation: str, seed: int
) -> None:
    """Write what is executed: this set's files, classes as many as it has, this seed."""
    folder = prepared.folder.resolve()
    sources = {"TRAIN": str(folder / representation / "train_lmdb"), "TEST": str(folder / representation / "val_lmdb")}
    use_set(train_val, sources, "mean.binaryproto")
    use_classes(train_val, len(prepared.classes))
    solver.net = "train_val.prototxt"
    solver.random_seed = seed
    solver.snapshot = min(solver.snapshot, solver.max_iter)
    # A diverging loss must show before the last good snapshot is pruned.
    solver.display = min(solver.display, solver.snapshot, max(1, solver.max_iter // 20))
    for name, message in (("train_val", train_val), ("deploy", deploy(train_val)), ("solver", solver)):
        write_text(run.folder / f"{name}.prototxt", format_text(message))
    with whole(run.folder / "mean.binaryproto") as temporary:
        temporary.write_bytes(prepared.mean_file(representation).read_bytes())


def _train(run: Run, caffe: Caffe, progress: Progress, weights: Path | None, state: Path | None) -> None:
    def on_progress(event: Any) -> None:
        progress(event)
        run.prune_snapshots(_KEPT_SNAPSHOTS)

    try:
        train(caffe, run.folder / "solver.prototxt", on_progress, weights, state)
    except DivergedError as error:
        good = run.snapshots()
        run.remove_snapshots([state for _, state in good])
        kept = f"the last good snapshot is {good[-1][1].with_suffix('.caffemodel')}" if good else "no snapshot was made"
        raise EmotiwError(f"{run.folder}: {error}; {kept}; try a lower base_lr") from None


def _prior_loss(prepared: PreparedSet) -> float:
    """Return the loss of a net that knows the shares of the classes and nothing else: their entropy, in nats."""
    counts = np.array(list(Counter(row["label"] for row in prepared.manifest if row["split"] == "train").values()))
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _finish(run: Run, facts: Facts, progress: Progress) -> None:
    """Name the last snapshot the model: not the best on validation, which would flatter that figure."""
    # Deviation D7
    good = run.snapshots()
    if not good or good[-1][0] != facts.iterations:
        raise EmotiwError(
            f"{run.folder}: Caffe ended without a good snapshot of iteration {facts.iterations}: see log.txt"
        )
    if progress.at_prior():
        print(progress.warning())
    draw_curves(progress.points, f"{facts.row}, {facts.stage}", run.folder / "curves.png")
    with whole(run.model) as temporary:
        os.link(good[-1][1].with_suffix(".caffemodel"), temporary)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
