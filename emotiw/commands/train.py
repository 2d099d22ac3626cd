"""The commands `pretrain` and `finetune`: train one stage of a row."""

import argparse
from pathlib import Path

from emotiw.commands.options import add_engine, engine_of


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


def train_stage(args: argparse.Namespace, stage: str, weights: Path | None) -> None:
    """Carry out one stage; say first what and where to, at the end where the model is."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.train.experiments import experiment
    from emotiw.train.net_setup import TrainOptions
    from emotiw.train.run_folder import Run
    from emotiw.train.stage import run_stage

    check_ranges(args)
    row = experiment(args.row)
    engine = engine_of(args)
    run = Run(args.runs / row.row / stage)
    start = f"from {weights}" if weights else "from scratch"
    print(f"{row.row}, {stage}, {start}, on {args.set}, by {engine} -> {run.folder}")
    options = TrainOptions(weights, args.iterations, args.seed, args.existing)
    try:
        run_stage(row, stage, open_set(args.set), run, engine, options)
    except KeyboardInterrupt:
        command = "the same command without --force" if args.existing == "replace" else "the same command"
        raise KeyboardInterrupt(f"interrupted: {command} goes on from the last snapshot in {run.folder}") from None
    print(f"model: {run.model}")


class Pretrain:
    """The verb `pretrain`.

    The run folder RUNS/ROW/pretrain holds the prototxt as executed, the engine's log, snapshots, curves and
    the model. It starts from the fillers, or with --from from weights of the same net for other classes,
    such as ImageNet's: the last layer is then new. Ctrl-C leaves a snapshot; interrupted or killed, the
    same command goes on.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what `emotiw pretrain` takes."""
        add_stage_arguments(parser)
        parser.add_argument(
            "--from",
            dest="start",
            type=Path,
            metavar="RUN|CAFFEMODEL",
            help="where the weights come from (default: from scratch)",
        )

    def run(self, args: argparse.Namespace) -> None:
        """Pre-train from scratch, or from weights."""
        from emotiw.errors import EmotiwError

        weights = weights_at(args.start) if args.start else None
        if weights and not weights.is_file():
            raise EmotiwError(f"no weights at {weights}: name a caffemodel or a finished run with --from")
        train_stage(args, "pretrain", weights)


class Finetune:
    """The verb `finetune`.

    It starts from the row's own pre-trained model in RUNS, unless --from says otherwise; the last layer
    is new, and so is what the weights do not have: it says which. Ctrl-C leaves a snapshot; interrupted
    or killed, the same command goes on.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what `emotiw finetune` takes."""
        add_stage_arguments(parser)
        parser.add_argument(
            "--from",
            dest="start",
            metavar="RUN|CAFFEMODEL|scratch",
            help="where the weights come from (default: RUNS/ROW/pretrain)",
        )

    def run(self, args: argparse.Namespace) -> None:
        """Fine-tune from pre-trained weights."""
        train_stage(args, "finetune", self._weights(args))

    def _weights(self, args: argparse.Namespace) -> Path | None:
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


COMMANDS = {"pretrain": Pretrain(), "finetune": Finetune()}
"""The commands of this module, which has two."""
