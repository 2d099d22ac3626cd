"""Models and a prepared set -> the scores of a split: a run's in its own folder, a released model's below RUNS.

```
RUNS/released/<NAME>/scores_<split>.csv, .json, predictions_<split>.txt, confusion_<split>.*    as in a run's folder
```
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from emotiw.csv_cells import csv_lines
from emotiw.data_prep.official_splits import MadeOf
from emotiw.data_prep.prepared_set import FACES, PreparedSet
from emotiw.engine.base import Blob, DivergedError, Engine
from emotiw.engine.inference import posteriors
from emotiw.engine.preprocessing import net_inputs
from emotiw.errors import EmotiwError
from emotiw.files import alone, file_digest, sha256_of, write_text
from emotiw.inputs import MODEL, Input, read_sealed, require_unchanged, taken, write_sealed
from emotiw.json_record import Int64, Sha256
from emotiw.progress_bar import bar

from .label_lists import predictions_text, true_labels
from .model import TRAINED, Model
from .plots import confusion_picture
from .scores import Scores, read_scores, scores_text
from .trained_on import NOT_KNOWN, TrainedOn, in_val, seen, trained_on


@dataclass(frozen=True)
class Protocol:
    """How scores were made: what a table must say beside them.

    `model` is its title; `weights_sha256` is in hexadecimal; `mean_rule` is a key of `preprocessing.MEAN_RULES`;
    `dataset` is the name of the set's data set, empty where it is not known, as in older scores; `drawn` says whether
    its images were drawn. `split` is the name that the scores have in tables and files, and `set_split` the set's own
    split, empty where that is the same. `scores_sha256` is of the scores' file, `inputs` what they were made of, and
    `trained_on` how many of the scored images each stage was trained on; `seen` says which images these are, and
    `in_val` how many are also in val of the set of `val_digest`, on which the run was trained; `official` says which of
    its source's own splits the set's is made of. Older scores have none of these.
    """

    engine: str
    engine_version: str
    split: str
    crops: Literal[1, 10]
    set_digest: Sha256
    set_folder: str
    model: str
    weights_sha256: Sha256
    mean_rule: str
    stand_in: bool
    dataset: str = ""
    drawn: bool = False
    scores_sha256: str = ""
    inputs: list[Input] = field(default_factory=list)
    trained_on: list[TrainedOn] = field(default_factory=list)
    set_split: str = ""
    seen: str = ""
    in_val: Int64 = NOT_KNOWN
    val_digest: str = ""
    official: MadeOf = field(default_factory=MadeOf)

    @property
    def beside(self) -> str:
        """What stands behind the split's name where a figure is printed: see `MadeOf.beside`."""
        return self.official.beside(self.split, self.dataset)

    @property
    def split_of_set(self) -> str:
        """The set's own split."""
        return self.set_split or self.split


def require(model: Model, prepared: PreparedSet, split: str) -> None:
    """Raise `EmotiwError` where a set has not what a model takes, before any image is scored."""
    if tuple(prepared.classes) != model.classes:
        raise EmotiwError(f"{prepared.folder} has other classes than {model.name}: give the set it needs")
    if prepared.facts.labels == "identities" and model.set_digest not in ("", prepared.digest):
        raise EmotiwError(
            f"{prepared.folder} is not the set that {model.name} was trained on, and people of the same names in "
            "another set are other people: give that set"
        )
    if model.faces not in ("", prepared.faces):
        raise EmotiwError(
            f"{prepared.folder} holds {FACES[prepared.faces]} and {model.name} was trained on {FACES[model.faces]}: "
            f"prepare the set {'with' if model.faces == 'detected' else 'without'} --detect"
        )
    prepared.lmdb(model.representation, split)  # raises where there is none
    if model.size != prepared.size:
        raise EmotiwError(
            f"{prepared.folder} has {prepared.size}-pixel images and {model.name} takes {model.size}-pixel ones: "
            f"prepare the set with --size {model.size}"
        )


def require_labels(prepared: PreparedSet, split: str, truth: Path | None = None) -> None:
    """Raise `EmotiwError` where some images of a split have a label and others none, in the set and in `truth`."""
    rows = [row for row in prepared.manifest if row["split"] == split]
    paths, labels = [row["path"] for row in rows], [int(row["label"]) for row in rows]
    if truth:
        true_labels(paths, tuple(prepared.classes), truth, labels)
    elif 0 < (missing := sum(label < 0 for label in labels)) < len(labels):
        raise EmotiwError(
            f"{prepared.folder}: {missing} of its {len(labels)} {split} images have no label, such as "
            f"{paths[[label < 0 for label in labels].index(True)]}: give them with --truth FILE"
        )


def score(model: Model, prepared: PreparedSet, engine: Engine, split: str, crops: int) -> Scores:
    """Return the posteriors of a model for every image of a split; the mean is taken as its maker takes it.

    Raises
    ------
    EmotiwError
        Where its net's answers are not numbers, the set's classes or its images' size are not the model's, or it has no
        such split or representation.
    """
    require(model, prepared, split)
    mean = model.input_mean()

    def images() -> Iterator[tuple[tuple[str, int], Sequence[Blob]]]:
        records = prepared.records(model.representation, split)
        for record in bar(records, f"{model.title}, {split}", prepared.count(split), "image", leave=False):
            yield (record.path, record.label), [net_inputs(record.blob, mean, crops, model.transform.scale)]

    try:
        with engine.scorer(model.deploy, model.weights) as scorer:
            answers = list(posteriors([scorer.scores], images(), crops))
    except DivergedError as error:
        raise DivergedError(f"{model.weights}: {error}: {model.provenance.remedy}") from None
    paths = tuple(path for (path, _), _ in answers)
    labels = np.array([label for (_, label), _ in answers], np.int64)
    groups = tuple(prepared.group_of.get(path, path) for path in paths) if prepared.group_of else ()
    return Scores(paths, labels, model.classes, np.array([scores for _, (scores,) in answers]), groups)


@dataclass(frozen=True)
class Task:
    """What to score: a split, by 1 or 10 crops an image.

    `truth` is a file of lines `<name> <label>` for a split whose images the set holds without labels; `title` is the
    name that the scores get, where it is not the split's.
    """

    split: str
    crops: Literal[1, 10] = 1
    truth: Path | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """The name that the scores get in tables and files."""
        return self.title or self.split


def evaluate(model: Model, prepared: PreparedSet, engine: Engine, task: Task, folder: Path) -> Scores:
    """Score a split and write, into `folder`, scores, predictions, confusion matrix and protocol.

    Raises
    ------
    EmotiwError
        If anything that the scores depend on was replaced while it was read; see also `score` and `require_labels`.
    """
    require_labels(prepared, task.split, task.truth)
    inputs = [*prepared.inputs(model.representation, [task.split]), *model.inputs]
    if task.truth:
        inputs.append(taken("truth", task.truth))
    scores = score(model, prepared, engine, task.split, task.crops)
    if task.truth:
        labels = true_labels(scores.paths, scores.classes, task.truth, scores.labels.tolist())
        scores = replace(scores, labels=labels)
    val_digest, also_in_val = in_val(model, prepared, task.split)
    protocol = Protocol(
        engine=engine.title,
        engine_version=engine.version,
        split=task.name,
        crops=task.crops,
        set_digest=prepared.digest,
        set_folder=str(prepared.folder.resolve()),
        model=model.title,
        weights_sha256=next(one.sha256 for one in inputs if one.role == MODEL),
        mean_rule=model.mean_rule,
        stand_in=model.stand_in,
        dataset=prepared.dataset,
        drawn=prepared.facts.drawn,
        inputs=inputs,
        set_split="" if task.name == task.split else task.split,
        trained_on=trained_on(model, prepared, task.split),
        seen=seen(model, prepared, scores.paths),
        val_digest=val_digest,
        in_val=also_in_val,
        official=prepared.made_of(task.split),
    )
    require_unchanged(inputs, model.weights.parent)
    title = f"{model.short_title}, {task.name}{protocol.beside}"
    write_evaluation(folder, title, task.name, scores, asdict(protocol))
    return scores


def scores_folder(model: Model, runs: Path) -> Path:
    """Return where a model's scores go: a run's into its own folder, a released model's below RUNS."""
    return model.weights.parent if model.provenance is TRAINED else released_folder(runs, model.name)


def released_folder(runs: Path, name: str) -> Path:
    """Return where a released model's scores lie below RUNS."""
    return runs / "released" / name


def write_evaluation(folder: Path, title: str, split: str, scores: Scores, protocol: Mapping[str, object]) -> None:
    """Write scores, predictions, confusion matrix and protocol into `folder`; the scores last, for `scores_file`."""
    with alone(folder.parent):  # the folder itself may be that of a training that goes on for days
        scores_file(folder, split).unlink(missing_ok=True)
        for path in folder.glob(f"confusion_{split}.*"):  # of an earlier one, which may have had labels
            path.unlink()
        if scores.labelled:
            write_text(folder / f"confusion_{split}.csv", _confusion_text(scores))
            confusion_picture(scores, title, folder / f"confusion_{split}.png")
        write_text(folder / f"predictions_{split}.txt", predictions_text(scores))
        text = scores_text(scores)
        write_sealed(protocol_file(folder, split), {**protocol, "scores_sha256": sha256_of(text.encode())})
        write_text(scores_file(folder, split), text)


def scores_file(folder: Path, split: str) -> Path:
    """Return the path of a split's scores in a folder: there only when the evaluation is whole."""
    return folder / f"scores_{split}.csv"


def protocol_file(folder: Path, split: str) -> Path:
    """Return the path of how a split's scores in a folder were made."""
    return folder / f"scores_{split}.json"


def read_protocol(folder: Path, split: str) -> Protocol:
    """Return how the scores of a split, in a run's or a released model's folder, were made."""
    path = protocol_file(folder, split)
    try:
        return read_sealed(path, Protocol)
    except FileNotFoundError:
        raise EmotiwError(f"{path} is missing: evaluate anew with --force") from None
    except ValueError as error:
        raise EmotiwError(
            f"{path} is damaged or of another version of emotiw ({error}): evaluate anew with --force"
        ) from None


def read_evaluation(folder: Path, split: str) -> tuple[Protocol, Scores]:
    """Return how the scores of a split were made, and the scores.

    Raises
    ------
    EmotiwError
        If either cannot be read, or they do not belong together, as while `evaluate` writes them.
    """
    protocol = read_protocol(folder, split)
    return protocol, read_scores_of(folder, split, protocol.scores_sha256)


def read_scores_of(folder: Path, split: str, sha256: str) -> Scores:
    """Return the scores of a split, which must have this digest; any where it is empty, as in older protocols."""
    path = scores_file(folder, split)
    scores, found = read_scores(path), file_digest(path)
    if sha256 and found != sha256:
        raise EmotiwError(
            f"{path} is not what {protocol_file(folder, split).name} says: sha256 {found[:12]}, recorded "
            f"{sha256[:12]}: if emotiw evaluate writes there now, try again, else evaluate anew with --force"
        )
    return scores


def _confusion_text(scores: Scores) -> str:
    counts = zip(scores.classes, scores.confusion, strict=True)
    return "".join(csv_lines([["true \\ predicted", *scores.classes], *([name, *row] for name, row in counts)]))
