"""Pre-train a row (net x representation) on a set of identities, by the real `caffe train`.

The run folder RUNS/ROW/pretrain holds the prototxt as executed, Caffe's log, snapshots, curves and
the model. Ctrl-C leaves a snapshot; interrupted or killed, the same command goes on.
"""

import argparse

from emotiw.verbs.stages import add_stage_arguments, run_stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw pretrain` takes."""
    add_stage_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Pre-train from scratch."""
    run_stage(args, "pretrain", None)
