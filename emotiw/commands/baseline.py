"""The verb `baseline`.

The SVM learns from the set's train split; kernel and C are chosen there by cross-validation that keeps groups
together. It needs no Caffe. The command writes to RUNS/baseline/<digest> the files that `emotiw evaluate` writes for
a run; `emotiw table` prints the baseline below the ensembles, which do not include it.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw baseline`."""
    parser.add_argument("--set", type=Path, metavar="SET", required=True, help="the prepared set; it must have rgb")
    parser.add_argument(
        "-o", "--runs", type=Path, metavar="RUNS", default=Path("runs"), help="the folder of runs (default: runs)"
    )
    parser.add_argument("--split", choices=("val", "test"), default="val", help="the split to score (default: val)")
    parser.add_argument("--force", action="store_true", help="replace scores that exist")


def run(args: argparse.Namespace) -> None:
    """Choose, fit and score; print the choice and the accuracy."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.evaluate.baseline.baseline import folder_of, make, write
    from emotiw.evaluate.label_lists import format_note
    from emotiw.evaluate.scoring import scores_file
    from emotiw.files import refuse_overwrite

    prepared = open_set(args.set)
    folder = folder_of(args.runs, prepared.digest)
    refuse_overwrite(scores_file(folder, args.split), args.force)
    baseline = make(prepared, args.split)
    write(baseline, folder)
    svm, scores = baseline.protocol.svm, baseline.scores
    print(f"SVM: {svm.kernel}, C = {svm.C:g}, {baseline.protocol.choice} ({svm.accuracy:.2%})")
    words = prepared.made_of(args.split).words(args.split, prepared.dataset)
    if scores.labelled:
        print(f"baseline: {scores.summary(args.split, words)} -> {scores_file(folder, args.split)}")
    else:
        where = folder / f"predictions_{args.split}.txt"
        images = f"{len(scores.labels)} {args.split} images{prepared.beside(args.split)}"
        print(f"baseline: {images} without labels -> {where}{format_note(scores.classes)}")
