"""What `emotiw pretrain` and `emotiw finetune` share."""

import argparse
from pathlib import Path

from emotiw.verbs.arguments import add_engine, engine_of


def add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both stages take."""
    parser.add_argument("row", metavar="ROW", help="<net>-<representation>, such as vgg_s-cyclic_lbp_5")
    parser.add_argument("--set", type=Path, metavar="SET", required=True, help="the prepared set to train on")
    parser.add_argument(
        "-o", "--runs", type=Path, metavar="RUNS", default=Path("runs"), help="where runs lie (default: runs)"
    )
    parser.add_argument("--iterations", type=int, metavar="N", help="instead of the solver's max_iter")
    parser.add_argument("--seed", type=int, metavar="N", default=1, help="of fillers, crops, dropout (default: 1)")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--renew", dest="existing", action="store_const", const="renew", help="start anew where another run is there"
    )
    existing.add_argument(
        "--force", dest="existing", action="store_const", const="replace", help="start anew where any run is there"
    )
    parser.set_defaults(existing="continue")
    add_engine(parser)


def weights_at(start: Path) -> Path:
    """Return the caffemodel that --from names: a file, or that of a run folder."""
    return start / "model.caffemodel" if start.is_dir() else start


def check_ranges(args: argparse.Namespace) -> None:
    """Raise where --iterations or --seed is beyond Caffe's own fields."""
    from emotiw.errors import UsageError

    if not (0 <= args.seed < 2**31 and (args.iterations is None or 1 <= args.iterations < 2**31)):
        raise UsageError("--iterations must be at least 1 and --seed at least 0, and both below 2147483648")


def run_stage(args: argparse.Namespace, stage: str, weights: Path | None) -> None:
    """Carry out one stage; say first what and where to, at the end where the model is."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.train.experiments import experiment
    from emotiw.train.run_folder import Run
    from emotiw.train.stage import run_stage

    check_ranges(args)
    row = experiment(args.row)
    engine = engine_of(args)
    run = Run(args.runs / row.row / stage)
    start = f"from {weights}" if weights else "from scratch"
    print(f"{row.row}, {stage}, {start}, on {args.set}, by {engine} -> {run.folder}")
    try:
        run_stage(
            row,
            stage,
            open_set(args.set),
            run,
            engine,
            weights,
            args.iterations,
            args.seed,
            existing=args.existing,
        )
    except KeyboardInterrupt:
        where = f"the last snapshot in {run.folder}"
        raise KeyboardInterrupt(f"interrupted: the same command goes on from {where}") from None
    print(f"model: {run.model}")
