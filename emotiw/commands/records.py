"""The verb `records`.

What can be committed: of each scored run its run.json, its scores and how they were made, and its
progress; no weights, no path of this machine. Digests of sets, LMDBs and models stay in the records.
emotiw table prints table, ensemble and claims of such a folder as of the runs themselves.

Give the command again after each run: what is there already stays as it is, and what differs from it
is refused.
"""

import argparse
from pathlib import Path

from emotiw.commands.options import add_verify
from emotiw.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw records` takes."""
    parser.add_argument("runs", type=Path, metavar="RUNS", help="the folder of run folders")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", required=True, help="where to write, such as results/NAME/runs"
    )
    parser.add_argument(
        "--stage", choices=("pretrain", "finetune"), default="finetune", help="of which stage (default: finetune)"
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        action="extend",
        metavar="ROW",
        help="of the runs these alone (default: all, with the scores of released models and baselines)",
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
        state = "written" if one.written else "as it was"
        print(f"{one.folder}: scores of {', '.join(one.scores)}: {state}")
    print(f"{counted(len(done), 'folder')} of records, {sum(one.written for one in done)} written")
