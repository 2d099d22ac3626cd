"""The verb `evaluate`.

Each run folder, and RUNS/released/<NAME>/ for a released model, gets scores_<split>.csv (one line an
image, one column a class), the confusion matrix as numbers and picture, and how they were made.
"""

import argparse
from pathlib import Path

from emotiw.commands.options import add_crops, add_engine, engine_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw evaluate` takes."""
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
        help="below which folder a released model's scores go; a run's go into its own (default: runs)",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="scores of which split (default: val)"
    )
    add_crops(parser)
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="FILE",
        help="lines `<name> <label>` for images that the set has no labels of; a name is an image's path or the end of "
        "it, with or without the file's ending",
    )
    parser.add_argument("--force", action="store_true", help="replace scores that exist")
    add_engine(parser)


def run(args: argparse.Namespace) -> None:
    """Score each model and print one line for it."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.errors import UsageError
    from emotiw.evaluate.model import Model, open_model
    from emotiw.evaluate.scoring import Task, evaluate, require, require_labels, scores_file, scores_folder
    from emotiw.files import refuse_overwrite

    engine, prepared = engine_of(args), open_set(args.set)
    require_labels(prepared, args.split, args.truth)
    models: dict[Path, Model] = {}
    for named in args.models:
        model = open_model(named)
        folder = scores_folder(model, args.output)
        if folder in models:
            raise UsageError(f"{named}: the scores of two models cannot both go to {folder}: give one of them")
        require(model, prepared, args.split)
        refuse_overwrite(scores_file(folder, args.split), args.force)
        models[folder] = model
    task = Task(args.split, args.crops, args.truth)
    for folder, model in models.items():
        scores = evaluate(model, prepared, engine, task, folder)
        if scores.labelled:
            print(f"{model.short_title}: {scores.summary(args.split)} -> {scores_file(folder, args.split)}")
        else:
            where = folder / f"predictions_{args.split}.txt"
            print(f"{model.short_title}: {len(scores.labels)} {args.split} images without labels -> {where}")
