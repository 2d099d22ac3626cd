"""One stage of one row: from a prepared set to a run folder with its model."""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.engine.base import DivergedError, Engine, Event, Snapshot
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import alone, file_digest, finish_swap, remove, whole
from emotiw.prototxt.surgery import crop_size, loss_weight, set_size
from emotiw.version import __version__

from .experiments import Experiment
from .net_setup import DEFAULTS, NetSetup, TrainOptions, set_up
from .progress import Progress, draw_curves
from .run_folder import Facts, Run
from .run_inputs import before, begun_with, executed, model_input
from .successor import clear_successor, successor
from .validation import validation_accuracy

_LOG = logging.getLogger(__name__)

KEPT_SNAPSHOTS = 2


def run_stage(
    experiment: Experiment,
    stage: str,
    prepared: PreparedSet,
    run: Run,
    engine: Engine,
    options: TrainOptions = DEFAULTS,
) -> None:
    """Carry out a stage in `run.folder`, or go on with it, until `run.model` is there.

    Raises
    ------
    EmotiwError
        Where set, weights and net do not fit, the folder holds another run or is in use, the engine fails or the loss
        diverges.
    """
    check_set(experiment, stage, prepared)
    setup = set_up(experiment, stage, prepared, options)
    facts = _facts(setup, engine)
    finish_swap(run.folder)
    with alone(run.folder, f"another emotiw trains in {run.folder} now: wait for it, or name another -o"):
        clear_successor(run)
        other = None if options.existing == "replace" else _other_run(run, facts)
        if other and options.existing != "renew":
            raise other
        anew = options.existing == "replace" or other
        if anew and run.started:
            with successor(run) as (new, settle):
                _carry_out(new, facts, setup, engine, settle)
                settle()
        else:
            if anew:
                for path in run.folder.iterdir():
                    remove(path)
            if not (run.finished and run.facts().iterations == facts.iterations):
                _carry_out(run, facts, setup, engine)


def _facts(setup: NetSetup, engine: Engine) -> Facts:
    experiment, prepared, weights = setup.experiment, setup.prepared, setup.weights
    weights_sha256 = file_digest(weights) if weights else ""
    return Facts(
        row=experiment.row,
        stage=setup.stage,
        net=experiment.net,
        representation=experiment.representation,
        engine=engine.title,
        engine_version=engine.version,
        set_folder=str(prepared.folder.resolve()),
        set_digest=prepared.digest,
        classes=prepared.classes,
        recipe=experiment.recipe(setup.stage),
        seed=setup.solver.random_seed,
        iterations=setup.solver.max_iter,
        weights=str(weights.resolve()) if weights else "",
        weights_sha256=weights_sha256,
        emotiw=__version__,
        before=before(weights),
        inputs=begun_with(prepared, experiment.representation, weights, weights_sha256),
        start=_start(experiment, weights),
        faces=prepared.faces,
    )


def _start(experiment: Experiment, weights: Path | None) -> list[str]:
    """Return what is to be said of a run by the run that its starting weights come from, if any; warn of it."""
    origin = Run(weights.parent) if weights else None
    if not origin or not origin.started:
        return []
    facts = origin.facts()
    unlike = [
        f"began with weights of {theirs}"
        for ours, theirs in ((experiment.net, facts.net), (experiment.representation, facts.representation))
        if ours != theirs
    ]
    for words in unlike:
        _LOG.warning(f"warning: {experiment.row} {words.replace('began', 'begins')} ({origin.folder})")
    return [*(f"{facts.stage} {mark}" for mark in facts.marks), *unlike]


def _carry_out(
    run: Run, facts: Facts, setup: NetSetup, engine: Engine, settle: Callable[[], None] = lambda: None
) -> None:
    """Train from the last good snapshot, or from the start, to the end; `settle` once there is a snapshot."""
    if setup.copy and not run.started:
        _LOG.info("\n".join(setup.copy.lines()))
    setup.write(run.folder)
    facts = replace(facts, inputs=[*facts.inputs, *executed(run)])
    good = run.purge_snapshots(facts.iterations if run.started else 0)  # without its facts a snapshot is anybody's
    start, state = good[-1] if good else (0, None)
    if state:
        known = run.facts()
        exactly = start == facts.iterations or (engine.continues(state) and not _other_rates(setup, known))
        facts = facts.resumed_at(start, known, exactly=exactly)
        if not exactly:
            _LOG.warning(
                f"warning: {run.folder} goes on from iteration {start}, but not as one that ran through (the LMDB from "
                "its beginning, other random numbers, or other rates): it is another experiment, and its figures say: "
                f"resumed at {start}"
            )
    if not run.finished:  # one that goes on keeps its model, and says so, until there is a new one
        run.write_facts(facts)
    prior_loss = _prior_loss(setup.prepared) * loss_weight(setup.train_val)
    validate = partial(validation_accuracy, run, setup.prepared, engine)
    with Progress(run.folder, start, facts.iterations, prior_loss, validate) as progress:
        if start < facts.iterations:
            _train(run, engine, progress, settle, (None if state else setup.weights, state))
    _finish(run, facts, progress)


def _other_rates(setup: NetSetup, known: Facts) -> bool:
    """Return whether the rates before now were others than if all iterations had been asked for at once."""
    return setup.solver.lr_policy == "poly" and known.iterations != setup.solver.max_iter


def check_set(experiment: Experiment, stage: str, prepared: PreparedSet) -> None:
    """Raise where a set has not the representation or the size that a row needs."""
    train_val = experiment.train_val(stage)
    prepared.lmdb(experiment.representation, "train")
    if prepared.size != set_size(train_val):
        size = set_size(train_val)
        raise UsageError(
            f"{prepared.folder} has {prepared.size}-pixel images and {experiment.net} crops {crop_size(train_val)} "
            f"of {size}: prepare the set with --size {size}"
        )


def _other_run(run: Run, facts: Facts) -> EmotiwError | None:
    """Return what to say where the folder holds a run that cannot become this one."""
    if not run.started:
        return None
    known, mend = run.facts(), "name another -o, or give --force to start anew"
    if differences := known.differences(facts):
        return EmotiwError(f"{run.folder} holds another run ({'; '.join(differences)}): {mend}")
    if run.finished and known.iterations == facts.iterations:
        return None
    reached = max((iteration for iteration, _ in run.snapshots()), default=0)
    if reached > facts.iterations:
        return UsageError(f"{run.folder} has gone {reached} iterations already, not {facts.iterations}: {mend}")
    if run.finished and reached < known.iterations:
        return EmotiwError(f"{run.folder} has lost its snapshot of iteration {known.iterations}: {mend}")
    return None


def _train(
    run: Run,
    engine: Engine,
    progress: Progress,
    settle: Callable[[], None],
    begin: tuple[Path | None, Path | None],
) -> None:
    """Train from weights or a solverstate: `begin`."""

    def on_progress(event: Event) -> None:
        if isinstance(event, Snapshot):
            run.add_engine(engine.title, engine.version)
            settle()
        progress(event)
        run.prune_snapshots(event.iteration, KEPT_SNAPSHOTS)

    try:
        engine.train(run.folder / "solver.prototxt", on_progress, *begin)
    except DivergedError as error:
        raise _stopped(run, f"{error}; try a lower base_lr", progress.last_loss) from None


def _stopped(run: Run, why: str, last: int) -> EmotiwError:
    """Return the error of a training that went wrong; only good snapshots up to the iteration `last` are kept."""
    good = run.purge_snapshots(last)
    kept = f"the last good snapshot is {good[-1][1].with_suffix('.caffemodel')}" if good else "no snapshot was made"
    return EmotiwError(f"{run.folder}: {why}; {kept}")


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
        why = f"the engine ended without a good snapshot of iteration {facts.iterations}: see log.txt"
        raise _stopped(run, why, facts.iterations)
    run.prune_snapshots(facts.iterations, KEPT_SNAPSHOTS)  # some may have been made while nobody looked
    run.reopen()
    draw_curves(progress.points, f"{facts.row}, {facts.stage}", run.folder / "curves.png")
    with whole(run.model) as temporary:
        last = good[-1][1].with_suffix(".caffemodel")
        try:
            os.link(last, temporary)
        except OSError:  # a file system that has no links
            shutil.copyfile(last, temporary)
        made = replace(facts, inputs=[*facts.inputs, model_input(temporary)])
        run.write_facts(made.made_by(run.facts()))  # before it has its name: killed here, the run is not finished
