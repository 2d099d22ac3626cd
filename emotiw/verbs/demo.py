"""Draw faces and take them the whole way: sets, pre-training, fine-tuning, ensemble, table, report.

Two sets of drawn faces (many people; the seven expressions of others) go through the very commands
that real ones would, with the net vgg_s_small on the real Caffe, in all five representations. The
drawings prove the machinery, not the paper. Interrupted, the same command goes on.
"""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from emotiw.lbp_mapping.representation import PAPER

if TYPE_CHECKING:
    from emotiw.train.workflow import Step

_NET, _SIZE = "vgg_s_small", "64"
_PEOPLE, _IMAGES = 40, 25  # to pre-train on
_ACTORS, _TAKES = 40, 3  # to fine-tune on: takes of each expression
_SEED = 2015


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw demo` takes."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo"), metavar="DIR", help="where everything goes (default: demo)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings at a time (default: one a core)")
    parser.add_argument("--iterations", type=int, metavar="N", help="of each training (default: what the net needs)")
    parser.add_argument("--force", action="store_true", help="start anew where DIR exists")


def run(args: argparse.Namespace) -> None:
    """Draw, prepare, train, evaluate; print the table and where the report is."""
    from emotiw.engine.caffe.locate import find_caffe
    from emotiw.errors import UsageError

    jobs = args.jobs if args.jobs is not None else len(os.sched_getaffinity(0))
    if jobs < 1 or (args.iterations is not None and args.iterations < 1):
        raise UsageError("--jobs and --iterations must be at least 1")
    find_caffe()
    _claim(args.output, args.iterations, args.force)
    start = time.monotonic()
    _prepare(args.output)
    options = ("--iterations", str(args.iterations)) if args.iterations else ()
    _train(args.output, options, jobs, start)
    _step(["table", str(args.output / "runs"), "-o", str(args.output / "table"), "--force"])
    print(f"done in {time.monotonic() - start:.0f} s; the faces are drawn: this proves the machinery, not the paper")


def _claim(output: Path, iterations: int | None, force: bool) -> None:
    """Mark the folder as this demo's; only a demo's folder is ever replaced, and only a like one gone on with."""
    from emotiw import __version__
    from emotiw.errors import UsageError
    from emotiw.files import remove, write_text
    from emotiw.train.experiments import experiment
    from emotiw.train.runs import STAGES

    row = experiment(f"{_NET}-rgb")
    marker = output / "demo.txt"
    asked = f"emotiw {__version__}, iterations: {iterations or 'as the net needs'}\n" + "".join(
        str(row.solver(stage)) + str(row.train_val(stage)) for stage in STAGES
    )
    if output.exists() and not marker.is_file():
        raise UsageError(f"{output} is there and no demo's folder: name another -o")
    if marker.is_file() and force:
        remove(output)
    if marker.is_file() and marker.read_text(encoding="utf-8") != asked:
        raise UsageError(
            f"{output} holds a demo of other settings or another version: name another -o, or give --force"
        )
    write_text(marker, asked)


def _prepare(output: Path) -> None:
    """Draw the faces and prepare the two sets, where they are not there yet."""
    from emotiw.data_prep.drawn import draw_expressions, draw_identities

    faces, sets = output / "faces", output / "sets"
    if not (faces / "people").exists():
        print(f"drawing {_PEOPLE} people, {_IMAGES} pictures each -> {faces / 'people'}")
        draw_identities(faces / "people", _PEOPLE, _IMAGES, _SEED)
    if not (faces / "expressions").exists():
        print(f"drawing 7 expressions of {_ACTORS} others, {_TAKES} pictures each -> {faces / 'expressions'}")
        draw_expressions(faces / "expressions", _ACTORS, _TAKES, _SEED)
    for name, options in (
        ("people", ["--labels", "identities", "--val", "0.1"]),
        ("expressions", ["--labels", "emotions", "--val", "0.3", "--group", r"actor\d+"]),
    ):
        if not (sets / name).exists():
            _step(["prepare", str(faces / name), "-o", str(sets / name), "--size", _SIZE, *options])


def _train(output: Path, options: tuple[str, ...], jobs: int, start: float) -> None:
    """Pre-train, fine-tune and evaluate a row a representation, several at a time."""
    from emotiw.train.workflow import Step, run_chains

    def say(row: str, step: Step) -> None:
        print(f"[{time.monotonic() - start:4.0f} s] emotiw {' '.join(step.arguments)}", flush=True)

    run_chains(
        {row: _chain(output, row, options) for row in (f"{_NET}-{representation}" for representation in PAPER)},
        jobs,
        output / "logs",
        say,
    )


def _chain(output: Path, row: str, options: tuple[str, ...]) -> "list[Step]":
    """Return the three commands of a row."""
    from emotiw.train.workflow import Step

    runs, people, expressions = output / "runs", output / "sets/people", output / "sets/expressions"
    pretrained, finetuned = (runs / row / stage for stage in ("pretrain", "finetune"))
    return [
        Step(("pretrain", row, "--set", str(people), "-o", str(runs), *options), pretrained / "model.caffemodel"),
        Step(("finetune", row, "--set", str(expressions), "-o", str(runs), *options), finetuned / "model.caffemodel"),
        Step(("evaluate", str(finetuned), "--set", str(expressions)), finetuned / "scores_val.csv"),
    ]


def _step(arguments: list[str]) -> None:
    """Run one of our own commands here, and show it."""
    from emotiw.__main__ import parse

    print(f"$ emotiw {' '.join(arguments)}", flush=True)
    args = parse(arguments)
    args.run(args)
