"""The verb `predict`.

IMAGE is a picture, a folder of them, or - (standard input). Every face in it is looked for (--detect, the default), or
the picture is taken as the crop of one already (--aligned, the default of runs that were trained on whole pictures), as
SFEW's aligned faces are. Each model gets the input that
it was made for: RGB, or the mapped LBP codes of the face at its native size, as `emotiw map` writes them. Several
models: their average, or with --weights the ensemble's.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from emotiw.commands.options import DEFAULT_MODEL, add_models, engine_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw predict` takes."""
    parser.add_argument("images", nargs="+", metavar="IMAGE|DIR|-", help="pictures, folders of pictures, or -")
    add_models(parser)
    parser.add_argument("--weights", type=Path, metavar="CSV", help="the ensemble's: the table.csv of emotiw table")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes a line of the text (default: 3)")
    parser.add_argument(
        "--format", choices=("text", "json", "csv"), default="text", help="how it is told (default: text)"
    )
    parser.add_argument("--figure", action="store_true", help="write DIR/<stem>.prediction.png, too")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="where figures go (default: here)"
    )
    parser.add_argument("--force", action="store_true", help="replace figures that exist")


def run(args: argparse.Namespace) -> None:
    """Predict, and print each face as it is done."""
    from emotiw.errors import EmotiwError, UsageError
    from emotiw.evaluate.model import open_models
    from emotiw.evaluate.predict.faces import faces_in, looked_for, pictures, warnings
    from emotiw.evaluate.predict.output import FORMATS
    from emotiw.evaluate.predict.predictor import Predictor, Tally

    if args.top < 1:
        raise UsageError("--top must be at least 1")
    images = pictures(args.images)
    if args.figure:  # importing matplotlib takes as long as a small net's answer
        from emotiw.evaluate.predict.figures import figures_of, with_figures

        figures_of(images, args.output, args.force)
    models = open_models(args.model or [DEFAULT_MODEL])
    detect = looked_for(models, args.detect)
    weights = None
    if args.weights:
        from emotiw.evaluate.table.table_csv import ensemble_weights

        weights = ensemble_weights(models, args.weights, args.crops)
    tally = Tally()
    with Predictor(models, engine_of(args), args.crops, args.mean, weights) as predictor:
        print(*predictor.describe(), sep="\n", file=sys.stdout if args.format == "text" else sys.stderr)
        for line in warnings(models, detect=detect):
            print(line, file=sys.stderr)
        answers = tally.counted(predictor.predict(faces_in(watched(images), detect=detect)))
        if args.figure:
            answers = with_figures(answers, predictor, args.output)
        for part in FORMATS[args.format](answers, predictor, args.top):
            sys.stdout.write(part)
            sys.stdout.flush()
    if tally.failures:
        print(f"emotiw: {tally}", file=sys.stderr)
    if not tally.faces:
        raise EmotiwError("no face was scored")


def watched(images: list[str]) -> Iterable[str]:
    """Return the pictures behind a progress bar, where there are several and the answers do not go to the terminal."""
    from emotiw.progress_bar import bar

    return images if len(images) == 1 or sys.stdout.isatty() else bar(images, "predict", len(images), "picture")
