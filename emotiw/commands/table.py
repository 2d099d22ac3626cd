"""The verb `table`.

RUNS is the folder that pretrain and finetune got as -o, or a copy of its records by emotiw records. Released models
that were evaluated into RUNS have a column of their own.

The command writes table.md and table.csv; errors.md and errors.csv, which class is mistaken for which; report.html,
which contains its pictures and may show faces; and the predictions of the ensemble and of each net, a line
`<name> <label>` for each image. Ensemble weights (not negative, sum 1) are fitted on validation scores and fixed
before the test split is read.

For a split without labels it writes the predictions, and <split>_scores.csv (name,n,correct), to be filled in by
someone who has the labels; --scored prints these counts beside the figures of another split. If the records name the
official split of the images, these files have its name.

Published figures are printed only beside figures on the same data set. The paper's claims are tested: each mapped net
against RGB of the same net, and the ensemble against its best member. If groups (people, movies) are known, intervals
resample groups and folds keep them together. Runs that differ only in their seed are one row.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.commands.options import add_verify, scores_title

if TYPE_CHECKING:
    from emotiw.evaluate.table.results import Table

AGAINST = "against.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw table`."""
    parser.add_argument("runs", type=Path, metavar="RUNS", help="the folder of run folders")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="the output folder")
    parser.add_argument(
        "--stage", choices=("pretrain", "finetune"), default="finetune", help="the stage (default: finetune)"
    )
    parser.add_argument(
        "--split",
        type=scores_title,
        default="val",
        help="the split, or the name given to emotiw evaluate --as (default: val)",
    )
    parser.add_argument(
        "--published", type=Path, metavar="CSV", help="published figures of your own, in the columns of published.csv"
    )
    parser.add_argument("--rows", nargs="+", action="extend", metavar="ROW", help="only these runs (default: all)")
    parser.add_argument(
        "--scored",
        type=Path,
        metavar="CSV",
        help="<split>_scores.csv with the counts filled in: the correct predictions on a split without labels",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="compare with the committed records of another reproduction, or with its RUNS: write against.md, and exit "
        "with status 1 if the two do not agree",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing table")
    add_verify(parser)


def run(args: argparse.Namespace) -> None:
    """Print the table and write it."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.errors import EmotiwError, UsageError
    from emotiw.evaluate.label_lists import format_note
    from emotiw.evaluate.table.output import TABLE_FILES, write_table
    from emotiw.evaluate.table.predictions import clear_predictions, write_predictions
    from emotiw.evaluate.table.published import publications
    from emotiw.evaluate.table.results import collect, scores_of
    from emotiw.evaluate.table.scored import read_scored, split_of
    from emotiw.evaluate.table.view import view
    from emotiw.files import refuse_overwrite, remove
    from emotiw.inputs import Look

    for name in (*TABLE_FILES, AGAINST):  # without --against, an older comparison would be removed
        refuse_overwrite(args.output / name, args.force)
    published = publications(args.published)
    collected = partial(collect, args.runs, args.stage, rows=args.rows, look=Look.ALL if args.verify else Look.SMALL)
    table = collected(split=args.split)
    if not table.scores.labelled:
        if args.scored or args.against:
            raise UsageError(f"{args.split} has no labels, which --scored and --against need: name another --split")
        _unlabelled(table, args)
        return
    scored = None
    if args.scored:
        named = scores_of(args.runs, args.stage, split_of(args.scored))
        scored = read_scored(args.scored, collected(split=named))
    theirs = _theirs(args)
    clear_predictions(table, args.output, force=args.force)
    for name in (*TABLE_FILES, AGAINST):
        remove(args.output / name)
    try:
        prepared = open_set(Path(table.protocol.set_folder))
    except EmotiwError:
        prepared = None  # it was moved or removed since: the report shows no faces
    if prepared and prepared.digest != table.protocol.set_digest:
        prepared = None
    print(write_table(view(table, published, scored), args.output, prepared))
    print(f"report: {args.output / 'report.html'}")
    note = format_note(table.scores.classes)
    print(f"predictions ({table.answer.name}): {write_predictions(table, args.output)}{note}")
    if theirs:
        _compare(table, theirs, args)


def _unlabelled(table: "Table", args: argparse.Namespace) -> None:
    """Write the predictions of a split without labels, and the file for their counts; print the counts so far."""
    from emotiw.evaluate.label_lists import format_note
    from emotiw.evaluate.table.output import TABLE_FILES
    from emotiw.evaluate.table.predictions import clear_predictions, write_predictions
    from emotiw.evaluate.table.scored import read_scored, unscored
    from emotiw.files import remove, write_text

    counts = args.output / f"{table.name_in_files}_scores.csv"
    text, dropped = unscored(counts, table, force=args.force)
    clear_predictions(table, args.output, force=args.force)
    write_text(counts, text)
    for name in (*TABLE_FILES, AGAINST):
        remove(args.output / name)  # these belong to an earlier table, which had labels
    first = write_predictions(table, args.output)
    for name in dropped:
        print(f"warning: {counts}: the count of {name} is dropped: it belongs to other predictions")
    print(f"the {args.split} images have no labels, so there is no table: give labels to emotiw evaluate --truth,")
    scored = read_scored(counts, table)
    print(f"or have the predictions scored and fill the counts into {counts}:\n\n{scored.text}\n\n{scored.note}\n")
    print(f"predictions ({table.answer.name}): {first}{format_note(table.scores.classes)}")


def _theirs(args: argparse.Namespace) -> "Table | None":
    """Return the results that --against names, or None."""
    from emotiw.evaluate.table.results import collect

    if not args.against:
        return None
    runs = args.against / "runs" if (args.against / "runs").is_dir() else args.against
    rows = [row for row in args.rows or () if (runs / row / args.stage / "run.json").is_file()]
    return collect(runs, args.stage, args.split, rows or None)


def _compare(table: "Table", theirs: "Table", args: argparse.Namespace) -> None:
    """Print and write the comparison of two tables; raise if they do not agree."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.table.against import against
    from emotiw.files import write_text

    found = against(table, theirs)
    write_text(args.output / AGAINST, found.markdown)
    print(f"\n{found.markdown}")
    if found.fault:
        raise EmotiwError(f"{args.runs} does not agree with {args.against}: {found.fault}: see {args.output / AGAINST}")
