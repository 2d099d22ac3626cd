"""Score finished runs on a split of a prepared set: posteriors, accuracy, confusion matrix.

Each run folder gets scores_<split>.csv (one line an image, one column a class), the confusion matrix
as numbers and picture, and how they were made.
"""

import argparse
from pathlib import Path

from emotiw.verbs.arguments import add_caffe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw evaluate` takes."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folders, such as runs/vgg_s-rgb/finetune"
    )
    parser.add_argument("--set", type=Path, metavar="SET", required=True, help="the prepared set")
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="scores of which split (default: val)"
    )
    # Deviation D10
    parser.add_argument(
        "--crops",
        type=int,
        choices=(1, 10),
        default=1,
        help="the centre, or centre and corners, each mirrored too (default: 1)",
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="lines `<name> <label>` for images that the set has no labels of"
    )
    parser.add_argument("--force", action="store_true", help="replace scores that exist")
    add_caffe(parser)


def run(args: argparse.Namespace) -> None:
    """Score each run and print one line for it."""
    from emotiw.data_prep.sets import open_set
    from emotiw.engine.caffe.locate import find_caffe
    from emotiw.evaluate.scoring import evaluate, scores_file
    from emotiw.files import refuse_overwrite
    from emotiw.train.runs import Run

    caffe, prepared = find_caffe(args.caffe), open_set(args.set)
    runs = [Run(folder) for folder in args.runs]
    for one in runs:
        refuse_overwrite(scores_file(one.folder, args.split), args.force)
    for one in runs:
        row = one.facts().row
        scores = evaluate(one, prepared, caffe, args.split, args.crops, args.truth)
        if scores.labelled:
            print(f"{row}: {scores.summary(args.split)} -> {scores_file(one.folder, args.split)}")
        else:
            where = one.folder / f"predictions_{args.split}.txt"
            print(f"{row}: {len(scores.labels)} {args.split} images without labels -> {where}")
