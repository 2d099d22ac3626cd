"""The verb `predict`.

IMAGE is a picture, a folder of pictures, or - (standard input). With --detect (the default) every face in it is
detected. With --aligned (the default of runs that were trained on whole pictures) the whole picture is taken as one
face, such as SFEW's aligned faces. Each model gets the input that it was trained on: RGB, or the mapped LBP codes of
the face at its native size, as `emotiw map` writes them. The posteriors of several models are averaged, with equal
weights or those of --weights.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from emotiw.commands.options import DEFAULT_MODEL, add_models, engine_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw predict`."""
    parser.add_argument("images", nargs="+", metavar="IMAGE|DIR|-", help="pictures, folders of pictures, or -")
    add_models(parser)
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="CSV",
        help="average with the ensemble's weights, from table.csv of emotiw table",
    )
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes in a line of text output (default: 3)")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="output format")
    parser.add_argument("--figure", action="store_true", help="also write DIR/<stem>.prediction.png")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder for figures (default: the current one)",
    )
    parser.add_argument("--force", action="store_true", help="replace existing figures")


def run(args: argparse.Namespace) -> None:
    """Predict, and print each face when it is done."""
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

        weights = ensemble_weights(models, args.weights, args.crops, args.mean)
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
    """Return the pictures, with a progress bar if there are several and the output does not go to the terminal."""
    from emotiw.progress_bar import bar

    return images if len(images) == 1 or sys.stdout.isatty() else bar(images, "predict", len(images), "picture")
