"""Score models on a split of a prepared set: a run's scores go into its folder, a released model's into RUNS.

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
from emotiw.data_prep.same_classes import unlike
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
from .scores import Scores, read_scores, scores_text
from .trained_on import NOT_KNOWN, TrainedOn, in_val, seen, trained_on


@dataclass(frozen=True)
class Protocol:
    """How scores were made. Scores of older versions lack the fields that have a default.

    Attributes
    ----------
    engine, engine_version
        The engine that scored.
    split, set_split
        The name of the scores in tables and files, and the set's own split, empty if equal.
    crops
        The number of crops of each image.
    set_digest, set_folder
        The prepared set.
    model, weights_sha256
        The model's title, and the digest of its weights in hexadecimal.
    mean_rule
        A key of `preprocessing.MEAN_RULES`.
    stand_in
        Whether the weights are random.
    dataset, drawn
        The name of the data set, empty if unknown, and whether its images were drawn.
    scores_sha256, inputs
        The digest of the scores' file, and the files that the scores were made from.
    trained_on, seen
        How many of the scored images each stage was trained on, and which: see `trained_on.spans`.
    val_digest, in_val
        The set that the run was trained on, and how many of the scored images are also in its val split.
    official
        The source's own splits that the set's split is made of.
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
        """The text after the split's name at a printed figure: see `MadeOf.beside`."""
        return self.official.beside(self.split, self.dataset)

    @property
    def split_of_set(self) -> str:
        """The set's own split."""
        return self.set_split or self.split


def require(model: Model, prepared: PreparedSet, split: str) -> None:
    """Raise `EmotiwError` if a model cannot score a split of a set, before any image is scored."""
    if words := unlike(prepared, model.classes, model.set_digest, model.name):
        mend = "that set" if tuple(prepared.classes) == model.classes else "a set with its classes"
        raise EmotiwError(f"{prepared.folder} {words}: give {mend}")
    if model.faces not in ("", prepared.faces):
        raise EmotiwError(
            f"{prepared.folder} has {FACES[prepared.faces]} but {model.name} was trained on {FACES[model.faces]}: "
            f"prepare the set {'with' if model.faces == 'detected' else 'without'} --detect"
        )
    prepared.lmdb(model.representation, split)  # raises if there is none
    if model.size != prepared.size:
        raise EmotiwError(
            f"{prepared.folder} has {prepared.size}-pixel images but {model.name} takes {model.size}-pixel ones: "
            f"prepare the set with --size {model.size}"
        )


def require_labels(prepared: PreparedSet, split: str, truth: Path | None = None) -> None:
    """Raise `EmotiwError` if only some images of a split have a label, in the set or in the file `truth`."""
    rows = [row for row in prepared.manifest if row["split"] == split]
    paths, labels = [row["path"] for row in rows], [int(row["label"]) for row in rows]
    if truth:
        true_labels(paths, prepared.class_list, truth, labels)
    elif 0 < (missing := sum(label < 0 for label in labels)) < len(labels):
        raise EmotiwError(
            f"{prepared.folder}: {missing} of its {len(labels)} {split} images have no label, such as "
            f"{paths[[label < 0 for label in labels].index(True)]}: give them with --truth FILE"
        )


def score(model: Model, prepared: PreparedSet, engine: Engine, split: str, crops: int, mean_rule: str = "") -> Scores:
    """Return the posteriors of a model for every image of a split.

    The mean is subtracted by `mean_rule`, a key of `preprocessing.MEAN_RULES`, or else by the model's own rule.

    Raises
    ------
    EmotiwError
        If the net's outputs are not finite, the set has other classes or image sizes than the model, or it lacks the
        split or the representation.
    """
    require(model, prepared, split)
    mean = model.input_mean(mean_rule)

    def images() -> Iterator[tuple[tuple[str, int], Sequence[Blob]]]:
        records = prepared.records(model.representation, split)
        for record in bar(records, f"{model.title}, {split}", prepared.count(split), "image", short=True):
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
    """What to score.

    Attributes
    ----------
    split
        The split.
    crops
        The number of crops of each image.
    truth
        A file of lines `<name> <label>`, for images without labels in the set.
    title
        The name of the scores, if not the split's.
    mean_rule
        A key of `preprocessing.MEAN_RULES`; empty: each model's own.
    """

    split: str
    crops: Literal[1, 10] = 1
    truth: Path | None = None
    title: str = ""
    mean_rule: str = ""

    @property
    def name(self) -> str:
        """The name of the scores in tables and files."""
        return self.title or self.split


def evaluate(model: Model, prepared: PreparedSet, engine: Engine, task: Task, folder: Path) -> Scores:
    """Score a split and write, into `folder`, scores, predictions, confusion matrix and protocol.

    Raises
    ------
    EmotiwError
        If an input of the scores was replaced while it was read; see also `score` and `require_labels`.
    """
    require_labels(prepared, task.split, task.truth)
    inputs = [*prepared.inputs(model.representation, [task.split]), *model.inputs]
    if task.truth:
        inputs.append(taken("truth", task.truth))
    scores = score(model, prepared, engine, task.split, task.crops, task.mean_rule)
    if task.truth:
        labels = true_labels(scores.paths, prepared.class_list, task.truth, scores.labels.tolist())
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
        mean_rule=model.taken_rule(task.mean_rule),
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
    """Return the folder for a model's scores: a run's own, or a released model's in RUNS."""
    return model.weights.parent if model.provenance is TRAINED else released_folder(runs, model.name)


def released_folder(runs: Path, name: str) -> Path:
    """Return the folder of a released model's scores in RUNS."""
    return runs / "released" / name


def write_evaluation(folder: Path, title: str, split: str, scores: Scores, protocol: Mapping[str, object]) -> None:
    """Write scores, predictions, confusion matrix and protocol into `folder`; the scores last: see `scores_file`."""
    with alone(folder.parent):  # a training may hold the lock of the folder itself for days
        scores_file(folder, split).unlink(missing_ok=True)
        for path in folder.glob(f"confusion_{split}.*"):  # from an earlier evaluation, which may have had labels
            path.unlink()
        if scores.labelled:
            write_text(folder / f"confusion_{split}.csv", _confusion_text(scores))
            from .plots import confusion_picture  # matplotlib, which the other users of this module do without

            confusion_picture(scores, title, folder / f"confusion_{split}.png")
        write_text(folder / f"predictions_{split}.txt", predictions_text(scores))
        text = scores_text(scores)
        write_sealed(protocol_file(folder, split), {**protocol, "scores_sha256": sha256_of(text.encode())})
        write_text(scores_file(folder, split), text)


def scores_file(folder: Path, split: str) -> Path:
    """Return the path of a split's scores in a folder; the file exists only if the evaluation is complete."""
    return folder / f"scores_{split}.csv"


def titles(folder: Path) -> list[str]:
    """Return the names of the scores in a folder, sorted."""
    return sorted(path.stem.removeprefix("scores_") for path in folder.glob("scores_*.csv"))


def protocol_file(folder: Path, split: str) -> Path:
    """Return the path of the protocol of a split's scores in a folder."""
    return folder / f"scores_{split}.json"


def read_protocol(folder: Path, split: str) -> Protocol:
    """Return the protocol of the scores of a split, in a run's or a released model's folder.

    Raises
    ------
    EmotiwError
        If it is missing or damaged.
    """
    path = protocol_file(folder, split)
    try:
        return read_sealed(path, Protocol)
    except FileNotFoundError:
        raise EmotiwError(f"{path} is missing: evaluate again with --force") from None
    except ValueError as error:
        raise EmotiwError(
            f"{path} is damaged or of another version of emotiw ({error}): evaluate again with --force"
        ) from None


def read_evaluation(folder: Path, split: str) -> tuple[Protocol, Scores]:
    """Return the protocol of the scores of a split, and the scores.

    Raises
    ------
    EmotiwError
        If either cannot be read, or they do not belong together, for example while `evaluate` writes them.
    """
    protocol = read_protocol(folder, split)
    return protocol, read_scores_of(folder, split, protocol.scores_sha256)


def read_scores_of(folder: Path, split: str, sha256: str) -> Scores:
    """Return the scores of a split; raise if their digest is not `sha256`, unless that is empty (older protocols)."""
    path = scores_file(folder, split)
    scores, found = read_scores(path), file_digest(path)
    if sha256 and found != sha256:
        raise EmotiwError(
            f"{path} is not the file that {protocol_file(folder, split).name} records: sha256 {found[:12]}, recorded "
            f"{sha256[:12]}: if emotiw evaluate is writing there now, try again, else evaluate again with --force"
        )
    return scores


def _confusion_text(scores: Scores) -> str:
    counts = zip(scores.classes, scores.confusion, strict=True)
    return "".join(csv_lines([["true \\ predicted", *scores.classes], *([name, *row] for name, row in counts)]))
