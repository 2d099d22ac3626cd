"""The verb `evaluate`.

The command writes scores_<split>.csv (a line for each image, a column for each class), the confusion matrix as
numbers and as a picture, and a record of how the scores were made: into the run's folder, or for a released model
into RUNS/released/<NAME>/.
"""

import argparse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.commands.options import add_crops, add_engine, add_mean, add_verify, engine_of, scores_title

if TYPE_CHECKING:
    from emotiw.data_prep.prepared_set import PreparedSet
    from emotiw.evaluate.model import Model
    from emotiw.inputs import Look


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw evaluate`."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="run folders, such as runs/vgg_s-rgb/finetune, and released models, by name, such as VGG_S_cyclic_lbp, "
        "or folder",
    )
    parser.add_argument("--set", type=Path, metavar="SET", required=True, help="the prepared set")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="RUNS",
        default=Path("runs"),
        help="the folder for the scores of released models; a run's go into its own folder (default: runs)",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="the split to score (default: val)"
    )
    parser.add_argument(
        "--as",
        dest="title",
        type=scores_title,
        metavar="NAME",
        help="a name for the scores in tables and files, instead of the split's, so that a run's folder can hold the "
        "scores of a second set beside those of its own (small letters, digits, hyphens)",
    )
    add_crops(parser)
    add_mean(parser)
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="FILE",
        help="lines `<name> <label>` for images without labels in the set; a name is an image's path or the end of its "
        "path, with or without the file's suffix",
    )
    parser.add_argument("--force", action="store_true", help="replace scores that exist")
    add_verify(parser)
    add_engine(parser)


def run(args: argparse.Namespace) -> None:
    """Score each model and print one line for it."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.data_prep.splits import SPLITS
    from emotiw.errors import UsageError
    from emotiw.evaluate.label_lists import format_note
    from emotiw.evaluate.model import Model, open_model
    from emotiw.evaluate.scoring import Task, evaluate, require, require_labels, scores_file, scores_folder
    from emotiw.inputs import Look

    look = Look.ALL if args.verify else Look.CHANGED
    engine, prepared = engine_of(args), open_set(args.set, look)
    require_labels(prepared, args.split, args.truth)
    task = Task(args.split, args.crops, args.truth, args.title or "", args.mean)
    if task.name in SPLITS and task.name != task.split:
        raise UsageError(f"--as {task.name} is the name of another split: give a name of its own")
    models: dict[Path, Model] = {}
    for named in args.models:
        model = open_model(named, look)
        folder = scores_folder(model, args.output)
        if folder in models:
            raise UsageError(f"{named}: the scores of two models would both go to {folder}: name only one of them")
        require(model, prepared, args.split)
        _refuse_other_scores(folder, task.name, prepared, force=args.force)
        models[folder] = model
    words = prepared.made_of(args.split).words(task.name, prepared.dataset)
    for folder, model in models.items():
        scores = evaluate(model, prepared, engine, task, folder)
        for mark in _marks(model, folder, task.name, len(scores.labels), Look.ALL if args.verify else Look.SMALL):
            print(f"warning: {model.short_title}: {mark}")
        if scores.labelled:
            print(f"{model.short_title}: {scores.summary(task.name, words)} -> {scores_file(folder, task.name)}")
        else:
            where = folder / f"predictions_{task.name}.txt"
            images = f"{len(scores.labels)} {task.name} images" + (f" ({words})" if words else "")
            print(f"{model.short_title}: {images} without labels -> {where}{format_note(scores.classes)}")


def _refuse_other_scores(folder: Path, name: str, prepared: "PreparedSet", *, force: bool) -> None:
    """Raise if there are scores already; name the other set if they belong to one."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.scoring import read_protocol, scores_file
    from emotiw.files import refuse_overwrite

    path, other = scores_file(folder, name), None
    if path.is_file() and not force:
        with suppress(EmotiwError):  # a damaged record is refused below, like any other
            other = read_protocol(folder, name)
    if other and other.set_digest != prepared.digest:
        where = f"{path} has scores of another set, {other.set_folder}"
        raise EmotiwError(f"{where}: give --as NAME to keep both, or --force to replace them")
    refuse_overwrite(path, force)


def _marks(model: "Model", folder: Path, split: str, count: int, look: "Look") -> Iterator[str]:
    """Yield the warnings about a figure: images that the net was trained on, inputs that changed since training."""
    from emotiw.evaluate.model import TRAINED
    from emotiw.evaluate.recorded import of_training
    from emotiw.evaluate.scoring import read_protocol
    from emotiw.evaluate.trained_on import words
    from emotiw.train.run_folder import Run

    protocol = read_protocol(folder, split)
    if mark := words(protocol.trained_on, count):
        yield mark
    if unusual := model.provenance.unusual(protocol.mean_rule):
        yield unusual
    if model.provenance is TRAINED:
        yield from of_training(Run(folder), look)
