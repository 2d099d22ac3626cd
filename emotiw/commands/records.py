"""The verb `records`.

For each scored run the command copies run.json, the scores and the record of how they were made, and the training
progress; it copies no weights and no path of this machine. Digests of sets, LMDBs and models stay in the records.
emotiw table prints the same table, ensemble and claims for such a folder as for the runs themselves.

Run the command again after each new run: equal records stay unchanged, and different ones are refused.
"""

import argparse
from pathlib import Path

from emotiw.commands.options import add_verify
from emotiw.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw records`."""
    parser.add_argument("runs", type=Path, metavar="RUNS", help="the folder of run folders")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", required=True, help="the output folder, such as results/NAME/runs"
    )
    parser.add_argument(
        "--stage", choices=("pretrain", "finetune"), default="finetune", help="the stage (default: finetune)"
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        action="extend",
        metavar="ROW",
        help="only these runs (default: all, and the scores of released models and baselines)",
    )
    parser.add_argument("--force", action="store_true", help="replace records of other runs")
    add_verify(parser)


def run(args: argparse.Namespace) -> None:
    """Write the records and print a line for each folder."""
    from emotiw.evaluate.records import copy_records
    from emotiw.inputs import Look

    look = Look.ALL if args.verify else Look.CHANGED
    done = copy_records(args.runs, args.output, args.stage, args.rows, force=args.force, look=look)
    for one in done:
        state = "written" if one.written else "unchanged"
        print(f"{one.folder}: scores of {', '.join(one.scores)}: {state}")
    print(f"{counted(len(done), 'folder')} of records, {sum(one.written for one in done)} written")
