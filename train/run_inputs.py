"""The inputs of a run, as recorded in its `run.json`, and their comparison with the files in its folder."""

from collections.abc import Iterator
from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.data_prep.set_inputs import colours
from emotiw.errors import EmotiwError
from emotiw.files import temporary_name
from emotiw.inputs import DEPLOY, MEAN, MODEL, WEIGHTS, Difference, Input, Look, compare, differ, find, taken

from .run_folder import Before, Run

FILES = {DEPLOY: "deploy.prototxt", MEAN: "mean.binaryproto", MODEL: "model.caffemodel"}
"""The files of a run on which scores depend, by role."""

_EXECUTED = {"train_val": "train_val.prototxt", "solver": "solver.prototxt", DEPLOY: FILES[DEPLOY], MEAN: FILES[MEAN]}


def begun_with(prepared: PreparedSet, representation: str, weights: Path | None, sha256: str) -> list[Input]:
    """Return the record of what a training reads: files of its set, and the starting weights, with digest `sha256`."""
    splits = [split for split in ("train", "val") if prepared.count(split)]
    found = prepared.inputs(representation, splits, mean=True)
    return [*found, taken(WEIGHTS, weights, sha256)] if weights else found


def executed(run: Run) -> list[Input]:
    """Return the record of a run folder's files before training."""
    return [taken(role, run.folder / name, name=name) for role, name in _EXECUTED.items()]


def only_begun(run: Run) -> bool:
    """Return whether its folder has nothing but what a run writes before `run.json`; it may be empty."""
    names = {temporary_name(run.folder / name).name for name in (*_EXECUTED.values(), "run.json")}
    return {path.name for path in run.folder.iterdir()} <= {*names, *_EXECUTED.values()}


def model_input(path: Path) -> Input:
    """Return the record of a run's model, which still has a temporary name."""
    return taken(MODEL, path, name=FILES[MODEL])


def before(weights: Path | None) -> list[Before]:
    """Return the stages from which starting weights come; none if they are not a run's.

    Raises
    ------
    EmotiwError
        If they are not the model of the run in their folder.
    """
    run = Run(weights.parent) if weights else None
    if not run or not run.started or run.model != weights:
        return []
    facts = run.facts()
    recorded = find(facts.inputs, MODEL)
    difference = compare(recorded, weights, Look.CHANGED) if recorded else None
    if difference:
        raise EmotiwError(f"{difference.words}: name the weights of a finished run with --from, or train them again")
    return facts.stages


def differences(run: Run, look: Look) -> Iterator[Difference]:
    """Yield a finished run's differences from its run.json; older runs have no record, and so no differences."""
    facts = run.facts()
    for role, name in FILES.items():
        recorded = find(facts.inputs, role)
        if recorded and (difference := compare(recorded, run.folder / name, look)):
            yield difference
    if (mine := colours(facts.representation)) and (recorded := find(facts.inputs, mine.role)):
        difference = differ(recorded, mine.sha256, f"the mapping of this version of emotiw in {run.folder}")
        if difference:
            yield difference
