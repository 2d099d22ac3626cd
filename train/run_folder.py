"""A run folder: everything about one execution of a stage of a row.

```
RUNS/<row>/<stage>/run.json                the settings and the inputs of the run
                   train_val.prototxt, solver.prototxt, deploy.prototxt, mean.binaryproto   as executed
                   log.txt                 Caffe's log, or the torch engine's in the same format
                   snapshot_iter_<N>.*     the last good snapshots
                   progress.csv            iteration, loss, validation accuracy
                   curves.png
                   model.caffemodel        when it is finished
                   scores_<split>.csv, .json, predictions_<split>.txt, confusion_<split>.*    when it is evaluated
```
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from emotiw.errors import EmotiwError
from emotiw.files import finish_swap
from emotiw.inputs import MODEL, Input, find, read_sealed, write_sealed
from emotiw.json_record import Count, Int64, Sha256
from emotiw.prototxt.formats.blobs import array_of, read_weights
from emotiw.prototxt.formats.messages import NetParameter, PackedState, read_binary, read_text

STAGES = ("pretrain", "finetune")
"""The stages of a row, in order."""


@dataclass(frozen=True)
class Before:
    """A stage from which a run's starting weights come."""

    stage: str
    set_folder: str
    set_digest: str
    iterations: int
    seed: int


@dataclass(frozen=True)
class Facts:
    """The contents of `run.json`.

    `set_digest`, `recipe` (the row's net and solver as committed, settings included) and `weights_sha256` are sha256
    in hexadecimal. `engine` names all engines that took part. `weights` and its sha256 are empty if the run began from
    the fillers. `before` names the stages from which the weights come, the first one first; it is empty if the weights
    are not those of a run, and in older runs. `inputs` records the files of the set that it read, its starting weights,
    the prototxts and the mean as executed, and its model; it is empty in older runs.
    `resumed` has the iterations at which the training was resumed from a snapshot without its position in the LMDB and
    its random state, which makes it another experiment than one that was never interrupted. `start` has other marks
    that follow from the starting weights. `faces` is the part of each image on which it was trained, as in
    `PreparedSet.faces`. `settings` describes how the solver differs from the shipped row's, and `net_folder` is the
    folder of a user's own net. The last three are empty in older runs.
    """

    row: str
    stage: str
    net: str
    representation: str
    engine: str
    engine_version: str
    set_folder: str
    set_digest: Sha256
    classes: list[str]
    recipe: Sha256
    seed: Int64
    iterations: Count
    weights: str
    weights_sha256: str
    emotiw: str
    before: list[Before] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    start: list[str] = field(default_factory=list)
    faces: str = ""
    settings: str = ""
    net_folder: str = ""

    # Fields that may change when a run is resumed: paths, iterations, engine. The classes and the faces follow from the
    # set's digest, and the settings are part of the recipe.
    _FREE = frozenset(
        (
            *("set_folder", "classes", "iterations", "weights", "engine", "engine_version", "emotiw"),
            *("resumed", "start", "faces", "settings", "net_folder"),
        )
    )

    def differences(self, other: "Facts") -> list[str]:
        """Return the differences that make `other` another run, as text."""
        free = self._FREE | {"before", "inputs"}
        mine, others = ({key: one for key, one in asdict(facts).items() if key not in free} for facts in (self, other))
        if self.set_digest == other.set_digest:  # with another set, the LMDBs differ anyway
            mine, others = mine | self._read_of_set(), others | other._read_of_set()
        return [
            f"{key} {_short(mine[key])}, not {_short(others[key])}"
            for key in mine
            if key in others and mine[key] != others[key]
        ]

    def _read_of_set(self) -> dict[str, str]:
        """Return the recorded digests of the LMDBs and of the colours of their mapping."""
        return {one.role: one.sha256 for one in self.inputs if one.role.startswith(("LMDB", "colours"))}

    @property
    def stages(self) -> list[Before]:
        """The recorded stages that made the run's weights; the last one is its own."""
        return [*self.before, Before(self.stage, self.set_folder, self.set_digest, self.iterations, self.seed)]

    @property
    def marks(self) -> list[str]:
        """Marks to print with every result of the run; most runs have none."""
        resumed = [f"resumed at {', '.join(map(str, self.resumed))}"] if self.resumed else []
        return [*resumed, *self.start]

    def made_by(self, other: "Facts") -> "Facts":
        """Return these facts with the engines of `other`."""
        return replace(self, engine=other.engine, engine_version=other.engine_version)

    def resumed_at(self, iteration: int, other: "Facts", *, exactly: bool) -> "Facts":
        """Return the facts of a run resumed from a snapshot of `other`; `exactly` if its random state was restored."""
        at = [] if exactly else [iteration]
        return replace(self.made_by(other), resumed=list(dict.fromkeys([*other.resumed, *at])))


def _joined(words: str, word: str) -> str:
    """Append a word to a list of words, unless it is there already."""
    return " + ".join(dict.fromkeys([*words.split(" + "), word]))


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @property
    def model(self) -> Path:
        """The caffemodel of the finished run."""
        return self.folder / "model.caffemodel"

    @property
    def finished(self) -> bool:
        """Whether the run has its final model."""
        return self.model.is_file()

    @property
    def published(self) -> bool:
        """Whether it is the record of a finished run, without its nets and weights, as `emotiw records` copies it."""
        whole = self.finished or any(self.folder.glob("*.prototxt"))
        return not whole and self.started and find(self.facts().inputs, MODEL) is not None

    @property
    def started(self) -> bool:
        """Whether there is a run at all."""
        finish_swap(self.folder)
        return (self.folder / "run.json").is_file()

    def facts(self) -> Facts:
        """Read `run.json`.

        Raises
        ------
        EmotiwError
            If the folder is not a run.
        """
        try:
            return read_sealed(self.folder / "run.json", Facts)
        except (FileNotFoundError, NotADirectoryError):
            raise EmotiwError(f"{self.folder} is not a run: make one with emotiw pretrain or emotiw finetune") from None
        except ValueError as error:
            place = self.folder / "run.json"
            raise EmotiwError(
                f"{place} is damaged or of another version of emotiw ({error}): start it again with --force"
            ) from None

    def write_facts(self, facts: Facts) -> None:
        """Write `run.json`."""
        write_sealed(self.folder / "run.json", asdict(facts))

    def add_engine(self, title: str, version: str) -> None:
        """Add an engine that has written a snapshot to the recorded engines."""
        known = self.facts()
        engine, engine_version = _joined(known.engine, title), _joined(known.engine_version, version)
        if (engine, engine_version) != (known.engine, known.engine_version):
            self.write_facts(replace(known, engine=engine, engine_version=engine_version))

    def snapshots(self) -> list[tuple[int, Path]]:
        """Return (iteration, solverstate) of the complete and finite snapshots, oldest first.

        Caffe writes under the final names, so the newest ones may be cut off; those are left out.
        """
        states = sorted(self.folder.glob("snapshot_iter_*.solverstate"), key=_iteration)
        return [(_iteration(state), state) for state in states if self._is_good(state)]

    def newest_snapshot(self) -> int:
        """Return the iteration of the newest snapshot, complete or not; 0 if there is none."""
        return max(map(_iteration, self.folder.glob("snapshot_iter_*.solverstate")), default=0)

    def _is_good(self, state: Path) -> bool:
        try:
            blobs = [blob for layer in read_weights(state.with_suffix(".caffemodel")).values() for blob in layer]
            history = [array_of(blob) for blob in read_binary(state, PackedState).history]
        except (EmotiwError, OSError):
            return False
        # Adam and AdaDelta append a second history to the first.
        same = [blob.shape for blob in blobs] == [blob.shape for blob in history[: len(blobs)]]
        return same and all(np.isfinite(blob).all() for blob in blobs + history)

    def purge_snapshots(self, last: int) -> list[tuple[int, Path]]:
        """Remove all snapshots except the good ones up to the iteration `last`; return these."""
        good = [(iteration, state) for iteration, state in self.snapshots() if iteration <= last]
        names = {state.stem for _, state in good}
        for path in [*self.folder.glob("snapshot_iter_*"), *self.folder.glob(".snapshot_iter_*")]:  # cut-off ones, too
            if path.stem not in names:
                path.unlink()
        return good

    def prune_snapshots(self, reached: int, newest: int) -> None:
        """Remove all snapshots up to the iteration `reached` except the newest few of them; later ones stay."""
        states = sorted(self.folder.glob("snapshot_iter_*.solverstate"), key=_iteration)
        for state in [state for state in states if _iteration(state) <= reached][:-newest]:
            for path in self.folder.glob(f"{state.stem}.*"):
                path.unlink()

    def reopen(self) -> None:
        """Remove the model and everything made from it, because the run will be resumed."""
        for pattern in ("scores_*", "predictions_*", "confusion_*", "curves.png", self.model.name):
            for path in self.folder.glob(pattern):
                path.unlink()

    def train_val(self) -> NetParameter:
        """Return the NetParameter of the train_val as executed."""
        return read_text(self.folder / "train_val.prototxt", NetParameter)


def _short(value: object) -> str:
    """Return a fact as text; a sha256 is shortened."""
    text = str(value)
    return text[:12] if len(text) == 64 else text or "none"


def _iteration(state: Path) -> int:
    return int(state.stem.rpartition("_")[2])


def find_runs(folder: Path, stage: str = "finetune") -> list[Run]:
    """Return the runs of a stage below `folder` (RUNS), by row."""
    for row in folder.glob("*/"):
        finish_swap(row / stage)
    return [Run(path.parent) for path in sorted(folder.glob(f"*/{stage}/run.json"))]
