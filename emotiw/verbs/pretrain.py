"""The verb `pretrain`.

The run folder RUNS/ROW/pretrain holds the prototxt as executed, the engine's log, snapshots, curves and
the model. It starts from the fillers, or with --from from weights of the same net for other classes,
such as ImageNet's: the last layer is then new. Ctrl-C leaves a snapshot; interrupted or killed, the
same command goes on.
"""

import argparse
from pathlib import Path

from emotiw.verbs.stages import add_stage_arguments, run_stage, weights_at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw pretrain` takes."""
    add_stage_arguments(parser)
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="RUN|CAFFEMODEL",
        help="where the weights come from (default: from scratch)",
    )


def run(args: argparse.Namespace) -> None:
    """Pre-train from scratch, or from weights."""
    from emotiw.errors import EmotiwError

    weights = weights_at(args.start) if args.start else None
    if weights and not weights.is_file():
        raise EmotiwError(f"no weights at {weights}: name a caffemodel or a finished run with --from")
    run_stage(args, "pretrain", weights)
