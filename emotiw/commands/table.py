"""The verb `table`.

Released models that were evaluated into RUNS stand beside them in a column of their own.

RUNS is the folder given to pretrain and finetune as -o, or the records that emotiw records made of it. Writes
table.md and table.csv; errors.md and errors.csv, what is taken for what; report.html, which holds its
pictures and may show faces; and the predictions of the ensemble and of each net, one line
`<name> <label>` an image. Ensemble weights (not negative, summing to 1) are found on validation
scores, and frozen before test is touched.

Of a split without labels it writes the predictions, and <split>_scores.csv (name,n,correct) for
whoever has the labels to fill in; --scored sets these counts beside the figures of another split.

Published figures stand beside figures on the same data set only. The paper's claims are tested: each
mapped net against RGB of the same net, and the ensemble against its best member. Where groups (people,
movies) are known, they are what intervals resample and what folds keep together. Runs that differ by
their seed alone are one row.
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
    """Add what `emotiw table` takes."""
    parser.add_argument("runs", type=Path, metavar="RUNS", help="the folder of run folders")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="where to write")
    parser.add_argument(
        "--stage", choices=("pretrain", "finetune"), default="finetune", help="of which stage (default: finetune)"
    )
    parser.add_argument(
        "--split",
        type=scores_title,
        default="val",
        help="scores of which split, or of which name of emotiw evaluate --as (default: val)",
    )
    parser.add_argument(
        "--published", type=Path, metavar="CSV", help="published figures of your own, in the columns of published.csv"
    )
    parser.add_argument(
        "--rows", nargs="+", action="extend", metavar="ROW", help="of the runs these alone (default: all)"
    )
    parser.add_argument(
        "--scored",
        type=Path,
        metavar="CSV",
        help="<split>_scores.csv, with the counts filled in: how many predictions of a split without labels were right",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="compare with the committed records of another reproduction, or with its RUNS: writes against.md, and "
        "exits with 1 where the two do not agree",
    )
    parser.add_argument("--force", action="store_true", help="replace a table that exists")
    add_verify(parser)


def run(args: argparse.Namespace) -> None:
    """Print the table and write it."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.errors import EmotiwError, UsageError
    from emotiw.evaluate.table.output import TABLE_FILES, write_table
    from emotiw.evaluate.table.predictions import clear_predictions, write_predictions
    from emotiw.evaluate.table.published import publications
    from emotiw.evaluate.table.results import collect
    from emotiw.evaluate.table.scored import read_scored, split_of
    from emotiw.evaluate.table.view import view
    from emotiw.files import refuse_overwrite, remove
    from emotiw.inputs import Look

    for name in (*TABLE_FILES, *([AGAINST] if args.against else [])):
        refuse_overwrite(args.output / name, args.force)
    published = publications(args.published)
    collected = partial(collect, args.runs, args.stage, rows=args.rows, look=Look.ALL if args.verify else Look.SMALL)
    table = collected(split=args.split)
    if not table.scores.labelled:
        if args.scored or args.against:
            raise UsageError(f"{args.split} has no labels: --scored and --against are for the table of another split")
        _unlabelled(table, args)
        return
    scored = read_scored(args.scored, collected(split=split_of(args.scored))) if args.scored else None
    theirs = _theirs(args)
    clear_predictions(table, args.output, force=args.force)
    for name in (*TABLE_FILES, AGAINST):
        remove(args.output / name)
    try:
        prepared = open_set(Path(table.protocol.set_folder))
    except EmotiwError:
        prepared = None  # moved or gone since: the report goes without its faces
    if prepared and prepared.digest != table.protocol.set_digest:
        prepared = None
    print(write_table(view(table, published, scored), args.output, prepared))
    print(f"report: {args.output / 'report.html'}")
    print(f"predictions ({table.answer.name}): {write_predictions(table, args.output)}")
    if theirs:
        _compare(table, theirs, args)


def _unlabelled(table: "Table", args: argparse.Namespace) -> None:
    """Write the predictions of a split without labels, and the file that takes their counts; print what is there."""
    from emotiw.evaluate.table.output import TABLE_FILES
    from emotiw.evaluate.table.predictions import clear_predictions, write_predictions
    from emotiw.evaluate.table.scored import read_scored, unscored
    from emotiw.files import remove, write_text

    counts = args.output / f"{args.split}_scores.csv"
    text, dropped = unscored(counts, table, force=args.force)
    clear_predictions(table, args.output, force=args.force)
    write_text(counts, text)
    for name in (*TABLE_FILES, AGAINST):
        remove(args.output / name)  # of an earlier table, which had labels
    first = write_predictions(table, args.output)
    for name in dropped:
        print(f"warning: {counts}: the count of {name} is dropped, as it was of other predictions")
    print(f"the {args.split} images have no labels, so there is no table: give some to emotiw evaluate --truth")
    scored = read_scored(counts, table)
    print(f"or have the predictions scored, and fill the counts into {counts}:\n\n{scored.text}\n\n{scored.said}\n")
    print(f"predictions ({table.answer.name}): {first}")


def _theirs(args: argparse.Namespace) -> "Table | None":
    """Return the results to compare with, where the command line names any."""
    from emotiw.evaluate.table.results import collect

    if not args.against:
        return None
    runs = args.against / "runs" if (args.against / "runs").is_dir() else args.against
    rows = [row for row in args.rows or () if (runs / row / args.stage / "run.json").is_file()]
    return collect(runs, args.stage, args.split, rows or None)


def _compare(table: "Table", theirs: "Table", args: argparse.Namespace) -> None:
    """Print and write how a table compares with another one; raise where they do not agree."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.table.against import against
    from emotiw.files import write_text

    found = against(table, theirs)
    write_text(args.output / AGAINST, found.markdown)
    print(f"\n{found.markdown}")
    if found.fault:
        raise EmotiwError(f"{args.runs} does not agree with {args.against}: {found.fault}: see {args.output / AGAINST}")
