"""What a run is made of, as its `run.json` records it, and whether that still lies in its folder."""

from collections.abc import Iterator
from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet, colours
from emotiw.errors import EmotiwError
from emotiw.inputs import DEPLOY, MEAN, MODEL, WEIGHTS, Difference, Input, Look, compare, differ, find, taken

from .run_folder import Before, Run

FILES = {DEPLOY: "deploy.prototxt", MEAN: "mean.binaryproto", MODEL: "model.caffemodel"}
"""By their roles, the files of a run that scores depend on."""

_EXECUTED = {"train_val": "train_val.prototxt", "solver": "solver.prototxt", **FILES}


def begun_with(prepared: PreparedSet, representation: str, weights: Path | None, sha256: str) -> list[Input]:
    """Return the record of what a training reads: of its set, and the starting weights, whose digest is known."""
    splits = [split for split in ("train", "val") if prepared.count(split)]
    found = prepared.inputs(representation, splits, mean=True)
    return [*found, taken(WEIGHTS, weights, sha256)] if weights else found


def executed(run: Run) -> list[Input]:
    """Return the record of what the folder of a run holds before it trains."""
    return [taken(role, run.folder / name, name=name) for role, name in _EXECUTED.items() if role != MODEL]


def model_input(path: Path) -> Input:
    """Return the record of a run's model, while it has a temporary name."""
    return taken(MODEL, path, name=FILES[MODEL])


def before(weights: Path | None) -> list[Before]:
    """Return the stages that starting weights come from; none where they are no run's.

    Raises
    ------
    EmotiwError
        If they are not the model that the run in their folder made.
    """
    run = Run(weights.parent) if weights else None
    if not run or not run.started or run.model != weights:
        return []
    facts = run.facts()
    recorded = find(facts.inputs, MODEL)
    difference = compare(recorded, weights, Look.CHANGED) if recorded else None
    if difference:
        raise EmotiwError(f"{difference.words}: name the weights of a finished run with --from, or train them anew")
    return facts.stages


def differences(run: Run, look: Look) -> Iterator[Difference]:
    """Yield what of a finished run is not as its run.json says; of older runs, which do not say it, nothing."""
    facts = run.facts()
    for role, name in FILES.items():
        recorded = find(facts.inputs, role)
        if recorded and (difference := compare(recorded, run.folder / name, look)):
            yield difference
    if (mine := colours(facts.representation)) and (recorded := find(facts.inputs, mine.role)):
        difference = differ(recorded, mine.sha256, f"the mapping of this version of emotiw in {run.folder}")
        if difference:
            yield difference
