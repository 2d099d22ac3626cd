"""The classical baseline of a prepared set, without a net: region histograms of LBP codes and a linear or RBF SVM.

The description that this project started from does not specify grid, kernel and C.  # Deviation D14
The grid is that of Ahonen et al. 2006 (faces), the kernels are those of Shan et al. 2009 (expressions), C is chosen on
the training images. The codes are those of the set's `rgb` images: resized first, unlike the nets' inputs.

```
RUNS/baseline/<digest>/scores_<split>.json    how it was made
                       scores_<split>.csv, predictions_<split>.txt, confusion_<split>.*    as in a run's folder
```
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from emotiw.data_prep.official_splits import MadeOf
from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.errors import EmotiwError
from emotiw.evaluate.cross_validation import folds
from emotiw.evaluate.scores import Scores
from emotiw.evaluate.scoring import protocol_file, read_scores_of, scores_file, write_evaluation
from emotiw.inputs import Input, read_sealed, require_unchanged
from emotiw.json_record import Count, Sha256
from emotiw.progress_bar import bar

from .features import face_histograms
from .svm import Choice, Features, Labels, choose, posteriors

GRID, RADIUS = 7, 1
MOST_IMAGES = 30_000  # their kernel matrix takes 7 GB
_TOO_FEW = (
    "has too few training images to choose C on: each class needs two, in two groups, and there must be two classes"
)


@dataclass(frozen=True)
class Protocol:
    """The protocol of a baseline's scores; `scores_sha256`, `inputs` and `official` are as in `scoring.Protocol`."""

    engine: str
    engine_version: str
    split: str
    set_folder: str
    set_digest: Sha256
    train_images: Count
    grid: Count
    radius: Count
    svm: Choice
    posteriors: str = "softmax of the decision values, not calibrated"
    dataset: str = ""
    drawn: bool = False
    scores_sha256: str = ""
    inputs: list[Input] = field(default_factory=list)
    official: MadeOf = field(default_factory=MadeOf)

    @property
    def choice(self) -> str:
        """How kernel and C were chosen, as words."""
        part = f"{self.svm.images} of " if 0 < self.svm.images < self.train_images else ""
        return f"by {self.svm.folds}-fold cross-validation on {part}{self.train_images} train images"


@dataclass(frozen=True)
class Baseline:
    """A baseline's scores on a split, and their protocol."""

    protocol: Protocol
    scores: Scores


def folder_of(runs: Path, set_digest: str) -> Path:
    """Return the folder below RUNS of the baseline for the set with this digest."""
    return runs / "baseline" / set_digest[:12]


def require(prepared: PreparedSet, folder: Path | None = None) -> None:
    """Raise `EmotiwError` if a set cannot have a baseline, before any image is read.

    Parameters
    ----------
    folder
        Where the set's baseline may have been made already: see `folder_of`. Then its images are enough to choose C on,
        and scikit-learn, which takes over a second to import, is not needed.
    """
    prepared.lmdb("rgb", "train")
    count = prepared.count("train")
    if count > MOST_IMAGES:
        raise EmotiwError(
            f"{prepared.folder} has {count} training images, but the baseline takes at most {MOST_IMAGES}: give a "
            "smaller set of emotions"
        )
    if prepared.size < GRID + 2 * RADIUS:
        raise EmotiwError(f"{prepared.folder} has {prepared.size}-pixel images: prepare it with a larger --size")
    if folder and any(folder.glob("scores_*.csv")):
        return
    train = [row for row in prepared.manifest if row["split"] == "train"]
    if not folds(np.array([row["label"] for row in train], np.int64), [row["group"] for row in train]):
        raise EmotiwError(f"{prepared.folder} {_TOO_FEW}")


def make(prepared: PreparedSet, split: str, seed: int = 0) -> Baseline:
    """Return the baseline's scores of a split, chosen and fitted on the train split.

    Raises
    ------
    EmotiwError
        If the set has no such split or no `rgb`, or its training images are too many, too few or too small.
    """
    import sklearn

    prepared.lmdb("rgb", split)  # raises if there is none
    require(prepared)
    inputs = prepared.inputs("rgb", ["train", split])
    train, paths, labels = _features(prepared, "train")
    groups = {row["path"]: row["group"] for row in prepared.manifest}
    if strangers := [path for path in paths if path not in groups]:
        raise EmotiwError(f"{prepared.folder}: its manifest does not name {strangers[0]}: prepare the set again")
    choice = choose(train, labels, [groups[path] for path in paths], seed)
    if choice is None:
        raise EmotiwError(f"{prepared.folder} {_TOO_FEW}")
    others, paths, truth = _features(prepared, split)
    if (truth < 0).any():  # partly labelled: a table uses the labels with which the nets were evaluated
        truth = np.full_like(truth, -1)
    answers = posteriors(choice, train, labels, others, len(prepared.classes))
    protocol = Protocol(
        engine="scikit-learn",
        engine_version=sklearn.__version__,
        split=split,
        set_folder=str(prepared.folder.resolve()),
        set_digest=prepared.digest,
        train_images=len(labels),
        grid=GRID,
        radius=RADIUS,
        svm=choice,
        dataset=prepared.dataset,
        drawn=prepared.facts.drawn,
        inputs=inputs,
        official=prepared.made_of(split),
    )
    require_unchanged(inputs)
    kept = tuple(groups[path] for path in paths) if prepared.group_of else ()
    return Baseline(protocol, Scores(paths, truth, tuple(prepared.classes), answers, kept))


def write(baseline: Baseline, folder: Path) -> None:
    """Write the scores and their files into `folder`."""
    protocol = baseline.protocol
    title = f"baseline, {protocol.split}{protocol.official.beside(protocol.split, protocol.dataset)}"
    write_evaluation(folder, title, protocol.split, baseline.scores, asdict(protocol))


def find(runs: Path, split: str, set_digest: str) -> Baseline | None:
    """Return the baseline below RUNS for the set with this digest, or None if none was made.

    Raises
    ------
    EmotiwError
        If its files are damaged.
    """
    folder = folder_of(runs, set_digest)
    if not scores_file(folder, split).is_file():
        return None
    try:
        protocol = read_sealed(protocol_file(folder, split), Protocol)
        return Baseline(protocol, read_scores_of(folder, split, protocol.scores_sha256))
    except (EmotiwError, OSError, ValueError):
        raise EmotiwError(
            f"{folder} holds damaged scores of {split}: make them again with emotiw baseline --set SET --force"
        ) from None


def _features(prepared: PreparedSet, split: str) -> tuple[Features, tuple[str, ...], Labels]:
    """Return the (N, D) histograms of a split, the images' paths and (N,) labels; images are not kept in memory."""
    features: list[Features] = []
    paths: list[str] = []
    labels: list[int] = []
    records = prepared.records("rgb", split)
    for record in bar(records, f"histograms, {split}", prepared.count(split), "image", short=True):
        features.append(face_histograms(record.blob, GRID, RADIUS))
        paths.append(record.path)
        labels.append(record.label)
    return np.array(features), tuple(paths), np.array(labels, np.int64)
