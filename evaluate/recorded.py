"""Comparison of recorded inputs, of scores and of their run's training, with the current files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.files import file_digest
from emotiw.inputs import DEPLOY, MEAN, MODEL, RUN, WEIGHTS, Difference, Input, Look, compare, differ, find
from emotiw.prototxt.formats.lmdb_digest import content_digest
from emotiw.train.run_folder import Run

OWN = (MODEL, DEPLOY, MEAN, RUN)
"""Roles of the files that must be unchanged for scores to belong to the run or model in a folder."""


@dataclass(frozen=True)
class Recorded:
    """A record: inputs, and the folder to which their paths are relative."""

    folder: Path
    inputs: tuple[Input, ...]

    def differences(self, look: Look) -> Iterator[Difference]:
        """Yield the files that differ from the record. Missing files are skipped, because sets and runs are moved."""
        for one in self.inputs:
            path = self.folder / one.path
            if not one.path or not path.exists():
                continue
            digest = content_digest if path.is_dir() else file_digest  # the function of the recorded digest
            if difference := compare(one, path, look, digest):
                yield difference

    @property
    def absent(self) -> list[str]:
        """The roles of files that do not exist at their recorded paths."""
        return [one.role for one in self.inputs if one.path and not (self.folder / one.path).exists()]


def training_records(run: Run) -> list[Recorded]:
    """Return the record of a run, and those of the runs that its weights come from, if they exist."""
    facts = run.facts()
    found = [Recorded(run.folder, tuple(facts.inputs))]
    weights = find(facts.inputs, WEIGHTS)
    earlier = Run((run.folder / weights.path).parent) if weights else None
    if earlier and earlier.started:
        found += training_records(earlier)
    return found


def of_training(run: Run, look: Look) -> Iterator[str]:
    """Yield a phrase for each training input of the run, and of those before it, that differs from the record."""
    for record in training_records(run):
        yield from in_words(record, look)


def in_words(record: Recorded, look: Look) -> Iterator[str]:
    """Yield a phrase for each input that differs from the record."""
    for difference in record.differences(look):
        yield difference.words if difference.proven else f"{difference.words} (--verify does)"


def require_same(scored: Iterable[Input], folder: Path, run: Run | None, look: Look) -> None:
    """Raise `EmotiwError` if the model in a folder is proven not to be the one that was scored.

    Parameters
    ----------
    scored
        The recorded inputs of the scores.
    run
        The run of the scores; its record must name the same model. None for a released model.
    """
    own = [one for one in scored if one.role in OWN]
    recorded = run.facts().inputs if run else []
    found = [
        difference
        for one in own
        if (other := find(recorded, one.role))
        and (difference := differ(one, other.sha256, f"the {one.role} of {folder / RUN}"))
    ]
    found += [each for each in Recorded(folder, tuple(own)).differences(look) if each.proven]
    if found:
        raise EmotiwError(f"{folder} was scored before it changed: {found[0].words}: evaluate it again with --force")
