"""The verb `finetune`.

It starts from the row's own pre-trained model in RUNS, unless --from says otherwise; the last layer
is new, and so is what the weights do not have: it says which. Ctrl-C leaves a snapshot; interrupted
or killed, the same command goes on.
"""

import argparse
from pathlib import Path

from emotiw.verbs.stages import add_stage_arguments, run_stage, weights_at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw finetune` takes."""
    add_stage_arguments(parser)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="RUN|CAFFEMODEL|scratch",
        help="where the weights come from (default: RUNS/ROW/pretrain)",
    )


def run(args: argparse.Namespace) -> None:
    """Fine-tune from pre-trained weights."""
    run_stage(args, "finetune", _weights(args))


def _weights(args: argparse.Namespace) -> Path | None:
    from emotiw.errors import EmotiwError
    from emotiw.train.experiments import experiment

    if args.start == "scratch":
        return None
    start = Path(args.start) if args.start else args.runs / experiment(args.row).row / "pretrain"
    weights = weights_at(start)
    if not weights.is_file():
        raise EmotiwError(
            f"no pre-trained model at {weights}: run emotiw pretrain {args.row} first, "
            "or name one with --from CAFFEMODEL, or train --from scratch"
        )
    return weights
