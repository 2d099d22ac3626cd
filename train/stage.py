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
from emotiw.data_prep.same_classes import unlike
from emotiw.engine.base import DivergedError, Engine, Event, Snapshot
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import alone, file_digest, finish_swap, refuse_foreign, whole
from emotiw.prototxt.formats.messages import SolverParameter
from emotiw.prototxt.solvers import rate_steps
from emotiw.prototxt.surgery import batch_size, classifiers, crop_size, data_layers, loss_weight, set_size
from emotiw.version import __version__

from .curves import draw_curves
from .experiments import Experiment
from .net_setup import DEFAULTS, NetSetup, TrainOptions, set_up
from .progress import Progress
from .run_folder import Facts, Run
from .run_inputs import before, begun_with, executed, model_input, only_begun
from .successor import clear_successor, successor
from .validation import validate

_LOG = logging.getLogger(__name__)

KEPT_SNAPSHOTS = 2
_MOST_LISTED = 4
_SCALED = 1 / 128  # the scale of the input of the medium nets
_FIRST = 50  # a training that diverges before this iteration did so from the start


def run_stage(
    experiment: Experiment,
    stage: str,
    prepared: PreparedSet,
    run: Run,
    engine: Engine,
    options: TrainOptions = DEFAULTS,
) -> None:
    """Run or resume a stage in `run.folder` until `run.model` exists.

    Raises
    ------
    EmotiwError
        If set, weights and net do not fit, the folder holds another run or something else, or is in use, the engine
        fails or the loss diverges.
    """
    check_set(experiment, stage, prepared)
    setup = set_up(experiment, stage, prepared, options)
    engine.require(training=True)
    facts = _facts(setup, engine)
    finish_swap(run.folder)
    with alone(run.folder, f"another emotiw is training in {run.folder}: wait for it, or name another -o"):
        clear_successor(run)
        refuse_foreign(run.folder, "a run", run.started or only_begun(run))
        other = None if options.existing == "replace" else _other_run(run, facts, setup)
        if other and options.existing != "renew":
            raise other
        if run.started and (other or options.existing == "replace"):
            with successor(run) as (new, settle):
                _carry_out(new, facts, setup, engine, settle)
                settle()
        else:
            _require_unedited(run, setup)
            if not (run.finished and run.facts().iterations == facts.iterations):
                _carry_out(run, facts, setup, engine)


def _require_unedited(run: Run, setup: NetSetup) -> None:
    if run.started and (edited := setup.edited(run.folder, run.facts().iterations)):
        raise EmotiwError(
            f"{run.folder}: its prototxt was edited ({'; '.join(_shortened(edited))}), which has no effect on a run: "
            "give the change by --solver or a --net of your own, with another -o or --force to start over"
        )


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
        settings="; ".join(experiment.changed(setup.stage)),
        net_folder=str(experiment.own.folder.resolve()) if experiment.own else "",
    )


def _start(experiment: Experiment, weights: Path | None) -> list[str]:
    """Return the marks that follow from the run that the starting weights come from, if any, and warn of them."""
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
    """Train from the last good snapshot, or from the start, to the end; call `settle` at the first snapshot."""
    if setup.copy and not run.started:
        _LOG.info("\n".join(setup.copy.lines()))
        _log_classes(setup)
    setup.write(run.folder)
    facts = replace(facts, inputs=[*facts.inputs, *executed(run)])
    good = run.purge_snapshots(facts.iterations)
    start, state = good[-1] if good else (0, None)
    if state:
        known = run.facts()
        exactly = start == facts.iterations or (engine.continues(state) and not _other_rates(setup, known))
        facts = facts.resumed_at(start, known, exactly=exactly)
        if not exactly:
            _LOG.warning(
                f"warning: {run.folder} resumes at iteration {start}, but not exactly (the LMDB from its "
                "beginning, other random numbers, or other rates): it is another experiment, and its results are "
                f"marked: resumed at {start}"
            )
    if not run.finished:  # a finished run keeps its facts and model until there is a new model
        run.write_facts(facts)
    prior_loss = _prior_loss(setup.prepared) * loss_weight(setup.train_val)
    validated = partial(validate, run, setup.prepared, engine)
    with Progress(run.folder, start, facts.iterations, prior_loss, validated) as progress:
        if start < facts.iterations:
            _train(run, engine, progress, setup, state, settle)
    _finish(run, facts, progress, schedule(setup.solver)[0])


def _log_classes(setup: NetSetup) -> None:
    """Log why the last layer is new although its width fits, or warn if it is copied and its classes may be others."""
    prepared, weights, copy = setup.prepared, setup.weights, setup.copy
    if not weights or not copy:
        return
    origin = Run(weights.parent)
    facts = origin.facts() if origin.started else None
    if facts:
        words = unlike(prepared, facts.classes, facts.set_digest, str(origin.folder))
    else:
        words = f"has the classes {prepared.class_list}, and nothing says whether {weights} has the same in this order"
    if words and (copied := sorted(classifiers(setup.train_val) & {*copy.copied})):
        _LOG.warning(f"warning: {copied[0]} is copied, but {prepared.folder} {words}")
    elif facts and facts.classes != prepared.classes and len(facts.classes) == len(prepared.classes):
        _LOG.info(f"the last layer is new: {prepared.folder} {words}")


def _other_rates(setup: NetSetup, known: Facts) -> bool:
    """Return whether the rates so far differ from those of a run with all these iterations from the start."""
    return setup.solver.lr_policy == "poly" and known.iterations != setup.solver.max_iter


def check_set(experiment: Experiment, stage: str, prepared: PreparedSet) -> None:
    """Raise if a set lacks the representation, the size or the images that a row needs."""
    train_val = experiment.train_val(stage)
    prepared.lmdb(experiment.representation, "train")
    crop, size = crop_size(train_val), set_size(train_val)
    if experiment.own and prepared.size < crop:
        raise UsageError(
            f"{prepared.folder} has {prepared.size}-pixel images but {experiment.net} crops {crop}: prepare it larger"
        )
    if not experiment.own and prepared.size != size:
        raise UsageError(
            f"{prepared.folder} has {prepared.size}-pixel images but {experiment.net} crops {crop} of {size}: prepare "
            f"the set with --size {size}"
        )
    several = experiment.solver(stage).iter_size
    batch, images = batch_size(train_val) * several, prepared.count("train")
    if batch > images:
        words = f"{experiment.net} takes {batch} images an iteration but {prepared.folder} has {images} to train on"
        if experiment.own:
            mend = "give a smaller iter_size" if several > 1 else "give the net a smaller batch_size"
            raise UsageError(f"{words}: {mend}")
        _LOG.warning(f"warning: {words}: each iteration sees some of them twice")


def schedule(solver: SolverParameter) -> tuple[list[int], list[int]]:
    """Return the iterations at which the rate steps: those that are reached, and those after the last iteration."""
    steps = rate_steps(solver)
    return [step for step in steps if step < solver.max_iter], [step for step in steps if step >= solver.max_iter]


def unreached(setup: NetSetup) -> str:
    """Return a warning if a training ends before a step of its schedule, else an empty string."""
    solver = setup.solver
    reached, beyond = schedule(solver)
    if not (beyond and setup.of_other_length):
        return ""
    return (
        f"schedule: the rate's step at iteration {beyond[0]} is not reached, since the last one is {solver.max_iter}: "
        f"it stays {solver.base_lr * solver.gamma ** len(reached):g}; give steps by --solver"
    )


def _other_run(run: Run, facts: Facts, setup: NetSetup) -> EmotiwError | None:
    """Return the error for a folder with a run that cannot be resumed as this one, else None."""
    if not run.started:
        return None
    known, mend = run.facts(), "name another -o, or give --force to start over"
    if run.published:
        return EmotiwError(f"{run.folder} has the record of a finished run, without its weights: {mend}")
    if differences := known.differences(facts):
        if known.recipe != facts.recipe:  # as text: as executed -> as requested
            differences = [each for each in differences if not each.startswith("recipe ")]
            differences += _shortened(setup.asked(run.folder)) or ["another recipe; its prototxt was edited"]
        return EmotiwError(f"{run.folder} has another run ({'; '.join(differences)}): {mend}")
    if run.finished and known.iterations == facts.iterations:
        return None
    reached = max((iteration for iteration, _ in run.snapshots()), default=0)
    if reached > facts.iterations:
        return UsageError(f"{run.folder} has already trained {reached} iterations, not {facts.iterations}: {mend}")
    if run.finished and reached < known.iterations:
        return EmotiwError(f"{run.folder} has lost its snapshot of iteration {known.iterations}: {mend}")
    return None


def _shortened(changes: list[str]) -> list[str]:
    """Return at most `_MOST_LISTED` changes, then the number omitted."""
    more = [f"and {len(changes) - _MOST_LISTED} more"] if len(changes) > _MOST_LISTED else []
    return changes[:_MOST_LISTED] + more


def _train(
    run: Run, engine: Engine, progress: Progress, setup: NetSetup, state: Path | None, settle: Callable[[], None]
) -> None:
    """Train from the starting weights, or from a solverstate; call `settle` at the first snapshot."""

    def on_progress(event: Event) -> None:
        if isinstance(event, Snapshot):
            run.add_engine(engine.title, engine.version)
            settle()
        progress(event)
        run.prune_snapshots(event.iteration, KEPT_SNAPSHOTS)

    try:
        engine.train(run.folder / "solver.prototxt", on_progress, None if state else setup.weights, state)
    except DivergedError as error:
        raise _stopped(run, f"{error}; {_cure(error, setup)}", progress.last_loss) from None


def _cure(error: DivergedError, setup: NetSetup) -> str:
    """Return advice; if it diverged at the start, also about the scale of the input."""
    rate, scale = setup.solver.base_lr, data_layers(setup.train_val)[0].transform_param.scale
    scaled = any(layer.type == "Power" and "data" in layer.bottom for layer in setup.train_val.layer)
    lower = f"try a lower base_lr (--solver 'base_lr: {rate / 10:g}', not {rate:g})"
    if scaled or scale <= _SCALED or error.loss is None or error.loss.iteration > _FIRST:
        return lower
    return f"{lower}, or in a net of your own (--net) an input scaled by 1/128 in transform_param, not by {scale:g}"


def _stopped(run: Run, why: str, last: int) -> EmotiwError:
    """Return the error of a failed training; only good snapshots up to the iteration `last` are kept."""
    good = run.purge_snapshots(last)
    kept = f"the last good snapshot is {good[-1][1].with_suffix('.caffemodel')}" if good else "no snapshot was made"
    return EmotiwError(f"{run.folder}: {why}; {kept}")


def _prior_loss(prepared: PreparedSet) -> float:
    """Return the loss of a net that outputs the class frequencies: their entropy, in nats."""
    counts = np.array(list(Counter(row["label"] for row in prepared.manifest if row["split"] == "train").values()))
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _finish(run: Run, facts: Facts, progress: Progress, steps: list[int]) -> None:
    """Make the last snapshot the model, not the best one on validation, which would bias that accuracy upwards."""
    # Deviation D7
    good = run.snapshots()
    if not good or good[-1][0] != facts.iterations:
        why = f"the engine ended without a good snapshot of iteration {facts.iterations}: see log.txt"
        raise _stopped(run, why, facts.iterations)
    run.prune_snapshots(facts.iterations, KEPT_SNAPSHOTS)  # some may have been made while this process was busy or dead
    run.reopen()
    draw_curves(progress.points, f"{facts.row}, {facts.stage}", run.folder / "curves.png", steps)
    with whole(run.model) as temporary:
        last = good[-1][1].with_suffix(".caffemodel")
        try:
            os.link(last, temporary)
        except OSError:  # a file system without links
            shutil.copyfile(last, temporary)
        made = replace(facts, inputs=[*facts.inputs, model_input(temporary)])
        run.write_facts(made.made_by(run.facts()))  # before renaming the model: if killed here, the run is unfinished
