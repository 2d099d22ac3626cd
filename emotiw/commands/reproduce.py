"""The verb `reproduce`.

The command runs the workflow on prepared sets with Snakemake (extra `reproduce`) and writes runs/,
table_val/ and, if the set of emotions has a test split, table_test/. The test split is scored last, after every net
is trained and the ensemble's weights are fitted on val. --dry-run prints the jobs, and their hours and disk usage as
estimated from iterations timed on this machine.

If killed or interrupted, run the same command again to continue; Ctrl-C leaves a snapshot of every training. After a
change of a setting, only the outputs that depend on it are made again.

--experiments names a table of your own rows: one net and representation may have several, each with its own name,
solver settings, epochs and seed. Arguments after -- go to Snakemake, such as `-- --executor slurm --jobs 20`. Jobs on
a cluster continue when this command is killed: cancel them before you run it again.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.commands.options import add_crops, add_engine, add_verify, engine_flags, engine_of
from emotiw.commands.train import add_experiments, add_length, check_ranges
from emotiw.train.presets import PAPER, PRESETS

if TYPE_CHECKING:
    from emotiw.data_prep.prepared_set import PreparedSet
    from emotiw.engine.base import Engine
    from emotiw.inputs import Look
    from emotiw.train.experiments import Experiment
    from emotiw.train.reproduce.workflow import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw reproduce`."""
    parser.add_argument(
        "--pretrain",
        type=Path,
        metavar="SET",
        help="the prepared set of identities, such as CASIA-WebFace (default: none, every net starts from scratch)",
    )
    parser.add_argument(
        "--finetune",
        type=Path,
        metavar="SET",
        required=True,
        help="the prepared set of emotions, such as SFEW 2.0",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("reproduction"),
        metavar="DIR",
        help="the output folder (default: reproduction)",
    )
    parser.add_argument(
        "--rows", nargs="+", action="extend", metavar="ROW", help="<net>-<representation> (default: the paper's 20)"
    )
    which = parser.add_mutually_exclusive_group()
    for preset, what in PRESETS.items():
        if preset != PAPER:
            which.add_argument(f"--{preset}", dest="preset", action="store_const", const=preset, help=what)
    add_experiments(which)
    parser.add_argument("--dry-run", action="store_true", help="print the jobs and their cost, and train nothing")
    add_length(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of every training (default: its row's, else 1)")
    add_crops(parser)
    parser.add_argument("--truth", type=Path, metavar="FILE", help="labels of the test split, as in emotiw evaluate")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="trainings at a time (default: one per core; on GPUs, one)"
    )
    add_verify(parser)
    add_engine(parser)
    parser.add_argument("snakemake", nargs="*", metavar="-- ARGS", help="further arguments for Snakemake")


def run(args: argparse.Namespace) -> None:
    """Print the jobs, run them, and print the tables."""
    from emotiw.data_prep.prepared_set import open_set
    from emotiw.evaluate.scoring import require_labels
    from emotiw.inputs import Look
    from emotiw.train.checkout import require_installed
    from emotiw.train.reproduce.reproduce import reproduce
    from emotiw.train.reproduce.workflow import splits_of
    from emotiw.train.run_folder import STAGES

    check_ranges(args)
    engine = engine_of(args, here=not args.snakemake)  # Snakemake's arguments may name a cluster, which has the engine
    if not args.snakemake:
        engine.require(training=True)
    rows = _rows(args)
    folders = {stage: folder for stage in STAGES if (folder := getattr(args, stage))}
    for row in rows:
        for stage in folders:
            require_installed(row, stage)
    sets = {stage: open_set(folder, Look.ALL if args.verify else Look.CHANGED) for stage, folder in folders.items()}
    if sets["finetune"].count("test"):  # checked now, not after weeks of training
        require_labels(sets["finetune"], "test", args.truth)
    try:
        options = _options(args, engine, sets["finetune"])
        reproduce(args.output, rows, sets, options, engine, dry_run=args.dry_run)
    except KeyboardInterrupt:
        where = "" if args.dry_run else ": run the same command again to continue from the last snapshots"
        raise KeyboardInterrupt(f"interrupted{where}") from None
    if not args.dry_run:
        look = Look.ALL if args.verify else Look.SMALL
        for split in splits_of(sets["finetune"]):
            _show(args.output, split, [row.row for row in rows], look)


def _rows(args: argparse.Namespace) -> "list[Experiment]":
    """Return the chosen rows: of the file of --experiments (all, or those of --rows), of --rows, or of a preset."""
    from emotiw.errors import UsageError
    from emotiw.train.experiments import experiment, preset_rows
    from emotiw.train.experiments_file import read_experiments

    if args.experiments:
        known = read_experiments(args.experiments)
        if strangers := [name for name in args.rows or () if name not in known]:
            raise UsageError(f"{args.experiments} has no row {strangers[0]}: name some of {', '.join(known)}")
        return [known[name] for name in dict.fromkeys(args.rows or known)]
    if args.rows and args.preset:
        raise UsageError(f"--rows and --{args.preset} both choose rows: leave one of them out")
    return list(map(experiment, dict.fromkeys(args.rows))) if args.rows else preset_rows(args.preset or PAPER)


def _baseline(emotions: "PreparedSet", output: Path) -> str:
    """Return the folder of the classical baseline, relative to the output; if the set cannot have one, print why."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.baseline.baseline import folder_of, require

    folder = folder_of(Path("runs"), emotions.digest)
    try:
        require(emotions, output / folder)
    except EmotiwError as error:
        print(f"no baseline: {error}")
        return ""
    return str(folder)


def _options(args: argparse.Namespace, engine: "Engine", emotions: "PreparedSet") -> "Options":
    from emotiw.errors import UsageError
    from emotiw.train.reproduce.workflow import Options

    cores = len(os.sched_getaffinity(0))
    jobs = args.jobs if args.jobs is not None else 1 if engine.on_gpu else cores
    if jobs < 1:
        raise UsageError("--jobs must be at least 1")
    threads = max(1, cores // jobs)
    return Options(
        iterations=args.iterations,
        epochs=args.epochs,
        seed=args.seed,
        experiments=args.experiments,
        crops=args.crops,
        truth=args.truth,
        jobs=jobs,
        threads=threads,
        engine=tuple(engine_flags(engine.settings)),
        baseline=_baseline(emotions, args.output),
        snakemake=tuple(args.snakemake),
    )


def _show(folder: Path, split: str, rows: list[str], look: "Look") -> None:
    """Print a table, computed now from the runs, and the paths of report and predictions.

    The file may be older than the runs; then print a warning.
    """
    from emotiw.evaluate.table.markdown import markdown
    from emotiw.evaluate.table.published import publications
    from emotiw.evaluate.table.results import collect
    from emotiw.evaluate.table.view import view

    written = folder / f"table_{split}" / "table.md"
    if written.is_file():
        text = markdown(view(collect(folder / "runs", "finetune", split, rows, look), publications()))
        print(f"\n{text}\nreport: {written.with_name('report.html')}")
        if written.read_text(encoding="utf-8") != text:
            print(f"warning: {written} is older than its runs and differs from this table: run emotiw table again")
    print(f"predictions: {written.with_name(f'predictions_{split}.txt')}")
