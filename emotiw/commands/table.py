"""The verb `table`.

Released models that were evaluated into RUNS stand beside them in a column of their own.

RUNS is the folder given to pretrain and finetune as -o. Writes table.md, table.csv and report.html,
which holds its pictures, and the ensemble's predictions, one line `<name> <label>` an image. Ensemble
weights (not negative, summing to 1) are found on validation scores, and frozen before test is touched.

Published figures stand beside figures on the same data set only. The paper's claims are tested: each
mapped net against RGB of the same net, and the ensemble against its best member. Where groups (people,
movies) are known, they are what intervals resample and what folds keep together. Runs that differ by
their seed alone are one row.
"""

import argparse
from pathlib import Path

from emotiw.commands.options import add_verify, scores_title


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
    parser.add_argument("--force", action="store_true", help="replace a table that exists")
    add_verify(parser)


def run(args: argparse.Namespace) -> None:
    """Print the table and write it."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.label_lists import predictions_text
    from emotiw.evaluate.table.output import TABLE_FILES, write_table
    from emotiw.evaluate.table.published import publications
    from emotiw.evaluate.table.results import collect
    from emotiw.evaluate.table.view import view
    from emotiw.files import refuse_overwrite, remove, write_text
    from emotiw.inputs import Look

    for name in TABLE_FILES:
        refuse_overwrite(args.output / name, args.force)
    published = publications(args.published)
    table = collect(args.runs, args.stage, args.split, args.rows, Look.ALL if args.verify else Look.SMALL)
    predictions = args.output / f"predictions_{args.split}.txt"
    refuse_overwrite(predictions, args.force)
    write_text(predictions, predictions_text(table.answer.scores))
    handed_in = f"predictions ({table.answer.name}): {predictions}"
    for name in TABLE_FILES:
        remove(args.output / name)  # of an earlier table, which may have had labels
    if not table.scores.labelled:
        print(f"the {args.split} images have no labels, so there is no table: give some to emotiw evaluate --truth")
        print(handed_in)
        return
    try:
        prepared = open_set(Path(table.protocol.set_folder))
    except EmotiwError:
        prepared = None  # moved or gone since: the report goes without its faces
    if prepared and prepared.digest != table.protocol.set_digest:
        prepared = None
    print(write_table(view(table, published), args.output, prepared))
    print(f"report: {args.output / 'report.html'}")
    print(handed_in)
