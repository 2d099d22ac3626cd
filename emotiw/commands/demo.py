"""The verb `demo`.

The demo draws two sets of faces (many people; seven expressions of other people) and runs the commands for real
data on them: the net vgg_s_small on the real Caffe, in all five representations. Accuracies on drawings say nothing
about the paper. If interrupted, run the same command again to continue.
"""

import argparse
import time
from pathlib import Path

from emotiw.lbp_mapping.representation import PAPER

_NET, _SIZE = "vgg_s_small", "64"
_PEOPLE, _IMAGES = 40, 25  # to pre-train on
_ACTORS, _TAKES = 40, 3  # to fine-tune on; pictures of each expression
_SEED = 2015


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw demo`."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo"), metavar="DIR", help="the output folder (default: demo)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings at a time (default: one per core)")
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="iterations of each training (default: the solver's max_iter)"
    )
    parser.add_argument("--force", action="store_true", help="replace DIR if it exists")


def run(args: argparse.Namespace) -> None:
    """Draw, prepare, train and evaluate; print the table and the path of the report."""
    from emotiw.engine.caffe.find import find_caffe
    from emotiw.errors import UsageError
    from emotiw.extras import require

    if (args.jobs is not None and args.jobs < 1) or (args.iterations is not None and args.iterations < 1):
        raise UsageError("--jobs and --iterations must be at least 1")
    find_caffe()
    require("snakemake", "emotiw demo")
    _claim(args.output, args.force)
    start = time.monotonic()
    _prepare(args.output)
    sets, rows = args.output / "sets", [f"{_NET}-{representation}" for representation in PAPER]
    given = {"--iterations": args.iterations, "--jobs": args.jobs}
    options = [word for flag, value in given.items() if value for word in (flag, str(value))]
    both = ["--pretrain", str(sets / "people"), "--finetune", str(sets / "expressions")]
    _step(["reproduce", *both, "--rows", *rows, "-o", str(args.output / "reproduction"), *options])
    print(f"done in {time.monotonic() - start:.0f} s; the faces are drawn: the figures say nothing about the paper")


def _claim(output: Path, force: bool) -> None:
    """Mark the folder as a demo of this version; raise if it is something else, which must not be replaced."""
    from emotiw.errors import UsageError
    from emotiw.files import refuse_foreign, remove, write_text
    from emotiw.version import __version__

    marker, version = output / "demo.txt", f"emotiw {__version__}\n"
    refuse_foreign(output, "a demo's folder", marker.is_file())
    if marker.is_file() and force:
        remove(output)
    if marker.is_file() and marker.read_text(encoding="utf-8") != version:
        raise UsageError(f"{output} holds a demo by another version of emotiw: name another -o, or give --force")
    write_text(marker, version)


def _prepare(output: Path) -> None:
    """Draw the faces and prepare the two sets, unless they exist."""
    from emotiw.data_prep.synthetic.faces import draw_expressions, draw_identities

    faces, sets = output / "faces", output / "sets"
    if not (faces / "people").exists():
        print(f"drawing {_IMAGES} pictures of each of {_PEOPLE} people -> {faces / 'people'}")
        draw_identities(faces / "people", _PEOPLE, _IMAGES, _SEED)
    if not (faces / "expressions").exists():
        print(
            f"drawing {_TAKES} pictures of each of 7 expressions of {_ACTORS} other people -> {faces / 'expressions'}"
        )
        draw_expressions(faces / "expressions", _ACTORS, _TAKES, _SEED)
    for name, options in (
        ("people", ["--labels", "identities", "--val", "0.1"]),
        ("expressions", ["--labels", "emotions", "--val", "0.3", "--group", r"actor\d+"]),
    ):
        if not (sets / name).exists():
            _step(["prepare", str(faces / name), "-o", str(sets / name), "--size", _SIZE, *options])


def _step(arguments: list[str]) -> None:
    """Print one of our own commands and run it in this process."""
    from emotiw.__main__ import parse

    print(f"$ emotiw {' '.join(arguments)}", flush=True)
    args = parse(arguments)
    args.run(args)
