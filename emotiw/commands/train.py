"""The verbs `pretrain` and `finetune`: train one stage of a row."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.commands.options import add_engine, engine_of

if TYPE_CHECKING:
    from emotiw.train.experiments import Experiment
    from emotiw.train.net_setup import NetSetup


def add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of both stages."""
    parser.add_argument(
        "row", metavar="ROW", help="<net>-<representation>, such as vgg_s-cyclic_lbp_5, or a name in --experiments"
    )
    parser.add_argument("--set", type=Path, metavar="SET", required=True, help="the prepared set to train on")
    parser.add_argument(
        "-o", "--runs", type=Path, metavar="RUNS", default=Path("runs"), help="the folder of runs (default: runs)"
    )
    parser.add_argument(
        "--solver",
        metavar="TEXT|FILE",
        help="settings that replace those of the row's solver, as prototxt: \"base_lr: 0.002 lr_policy: 'multistep' "
        'stepvalue: 5000"; a repeated one, such as stepvalue, is replaced as a whole',
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--net", type=Path, metavar="DIR", help="a net of your own: train_val.prototxt and deploy.prototxt in DIR"
    )
    add_experiments(which)
    add_length(parser)
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of fillers, crops and dropout (default: the row's, else 1)"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--renew",
        dest="existing",
        action="store_const",
        const="renew",
        help="replace an existing run if it has other settings or inputs",
    )
    existing.add_argument(
        "--force", dest="existing", action="store_const", const="replace", help="replace any existing run"
    )
    parser.set_defaults(existing="continue")
    add_engine(parser)


def add_experiments(parser: "argparse._ActionsContainer") -> None:
    """Add `--experiments FILE`."""
    parser.add_argument(
        "--experiments",
        type=Path,
        metavar="FILE",
        help="a table of your own experiments, with the columns of emotiw experiments",
    )


def add_length(parser: argparse.ArgumentParser) -> None:
    """Add the options for the length of a training."""
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--iterations", type=int, metavar="N", help="iterations of a training (default: the solver's max_iter)"
    )
    length.add_argument(
        "--epochs",
        type=float,
        metavar="N",
        help="its length in passes over the training images, rounded up; the schedule stays in iterations",
    )


def weights_at(start: Path) -> Path:
    """Return the path of the weights that --from names: a file, or the model of a run folder."""
    return start / "model.caffemodel" if start.is_dir() else start


def check_ranges(args: argparse.Namespace) -> None:
    """Raise if --iterations, --epochs or --seed exceeds Caffe's int32 fields, or epochs cannot be counted."""
    from emotiw.errors import UsageError

    whole = [(args.iterations, 1), (args.seed, 0)]
    if not all(value is None or least <= value < 2**31 for value, least in whole):
        raise UsageError("--iterations must be at least 1 and --seed at least 0, and both below 2147483648")
    if args.epochs is not None and not 0 < args.epochs < 2**31:
        raise UsageError("--epochs must be above 0")
    if args.epochs is not None and (args.gpu == "all" or "," in args.gpu):
        raise UsageError(
            f"--epochs counts the images of one GPU, but --gpu {args.gpu} takes a batch on each: give --iterations"
        )


def row_of(args: argparse.Namespace, stage: str) -> "Experiment":
    """Return the row that the command line names, with its settings and its net."""
    from emotiw.errors import UsageError
    from emotiw.prototxt.solvers import refuse_twice
    from emotiw.train.checkout import require_installed
    from emotiw.train.experiments import experiment
    from emotiw.train.experiments_file import named_row
    from emotiw.train.own_net import read_own_net

    if args.experiments:
        row = named_row(args.experiments, args.row)
    else:
        row = experiment(args.row, read_own_net(args.net) if args.net else None)
    require_installed(row, stage)
    if args.solver is None:
        return row
    if not args.solver.strip():
        raise UsageError("--solver is empty: give settings or a file, or leave it out")
    text, flags = (
        solver_text(args.solver),
        (("iterations", "max_iter"), ("epochs", "max_iter"), ("seed", "random_seed")),
    )
    refuse_twice(text, "--solver", {field: f"--{flag}" for flag, field in flags if getattr(args, flag) is not None})
    return row.over([stage], text, "--solver")


def solver_text(given: str) -> str:
    """Return the prototxt that --solver gives: the argument itself, or the text of the file that it names."""
    from emotiw.errors import EmotiwError, UsageError
    from emotiw.prototxt.formats.messages import prototxt_of

    if ":" in given or "{" in given:
        return given
    try:
        return prototxt_of(Path(given))
    except (OSError, EmotiwError):
        raise UsageError(f"--solver {given}: neither a text file nor prototxt such as 'base_lr: 0.002'") from None


def train_stage(args: argparse.Namespace, row: "Experiment", stage: str, weights: Path | None) -> None:
    """Train one stage; first print row, set, engine and run folder, at the end the path of the model."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.train.net_setup import TrainOptions, set_up
    from emotiw.train.run_folder import Run
    from emotiw.train.stage import check_set, run_stage

    check_ranges(args)
    engine = engine_of(args)
    run, prepared = Run(args.runs / row.row / stage), open_set(args.set)
    options = TrainOptions(weights, args.iterations, args.seed, args.existing, args.epochs)
    start = f"from {weights}" if weights else "from scratch"
    print(f"{row.row}, {stage}, {start}, on {args.set}, by {engine} -> {run.folder}")
    check_set(row, stage, prepared)
    for line in described(set_up(row, stage, prepared, replace(options, weights=None))):
        print(line)
    try:
        run_stage(row, stage, prepared, run, engine, options)
    except KeyboardInterrupt:
        again = "the same command again, without --force," if args.existing == "replace" else "the same command again"
        place = f"the last snapshot in {run.folder}"
        raise KeyboardInterrupt(f"interrupted: run {again} to continue from {place}") from None
    print(f"model: {run.model}")


def described(setup: "NetSetup") -> list[str]:
    """Return messages about a training that differs from the shipped one, or is shorter than its schedule."""
    from emotiw.train.experiments import unlisted
    from emotiw.train.stage import unreached

    row, lines = setup.experiment, []
    if row.own:
        lines.append(f"net: {row.own.folder}, {setup.batch} images an iteration")
    elif words := unlisted(row):
        lines.append(words)
    if changed := row.changed(setup.stage):
        lines.append(f"settings: {'; '.join(changed)}")
    if words := unreached(setup):
        lines.append(words)
    return lines


class Pretrain:
    """The verb `pretrain`.

    The run folder RUNS/ROW/pretrain receives the prototxt as executed, the engine's log, snapshots, curves and the
    model. Weights start from the fillers or, with --from, from weights of the same net for other classes, such as
    ImageNet's; then the last layer is new. Ctrl-C leaves a snapshot. If interrupted or killed, run the same command
    again to continue.

    With --net, ROW is a name of your own and a representation, such as my_net-rgb.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of `emotiw pretrain`."""
        add_stage_arguments(parser)
        parser.add_argument(
            "--from",
            dest="start",
            type=Path,
            metavar="RUN|WEIGHTS",
            help="where the weights come from: a run, a caffemodel, HDF5 (default: from scratch)",
        )

    def run(self, args: argparse.Namespace) -> None:
        """Pre-train from scratch, or from weights."""
        from emotiw.errors import EmotiwError

        row = row_of(args, "pretrain")
        weights = weights_at(args.start) if args.start else None
        if weights and not weights.is_file():
            raise EmotiwError(f"no weights at {weights}: name a caffemodel or a finished run with --from")
        train_stage(args, row, "pretrain", weights)


class Finetune:
    """The verb `finetune`.

    Weights start from the row's pre-trained model in RUNS, unless --from names others. The last layer is new, and so
    are layers that the weights do not have; these are printed. Ctrl-C leaves a snapshot. If interrupted or killed, run
    the same command again to continue.

    With --net, ROW is a name of your own and a representation, such as my_net-rgb.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of `emotiw finetune`."""
        add_stage_arguments(parser)
        parser.add_argument(
            "--from",
            dest="start",
            metavar="RUN|WEIGHTS|scratch",
            help="where the weights come from: a run, a caffemodel, HDF5 (default: RUNS/ROW/pretrain)",
        )

    def run(self, args: argparse.Namespace) -> None:
        """Fine-tune from pre-trained weights."""
        row = row_of(args, "finetune")
        train_stage(args, row, "finetune", self._weights(args, row.row))

    def _weights(self, args: argparse.Namespace, row: str) -> Path | None:
        from emotiw.errors import EmotiwError

        if args.start == "scratch":
            return None
        start = Path(args.start) if args.start else args.runs / row / "pretrain"
        weights = weights_at(start)
        if not weights.is_file():
            raise EmotiwError(
                f"no pre-trained model at {weights}: run emotiw pretrain {args.row} first, "
                "or name one with --from CAFFEMODEL, or train --from scratch"
            )
        return weights


COMMANDS = {"pretrain": Pretrain(), "finetune": Finetune()}
"""The two verbs of this module."""
