"""The verb `explain`.

The picture has a row for each model, as in the authors' notebook. The command takes the largest face that it detects
in IMAGE; with --aligned, the whole picture is the face.
"""

import argparse
from pathlib import Path

from emotiw.commands.options import DEFAULT_MODEL, add_models, engine_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw explain`."""
    parser.add_argument("image", metavar="IMAGE", help="a picture, or - for standard input")
    add_models(parser, crops=False)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PNG",
        help="the output (default: <stem>.explained.png in the current folder)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> None:
    """Predict one face and draw the picture."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.model import open_models
    from emotiw.evaluate.predict.explain import explain, explanation_figure
    from emotiw.evaluate.predict.faces import STDIN, Failure, faces_in, looked_for, pictures, warnings
    from emotiw.evaluate.predict.predictor import Predictor
    from emotiw.files import refuse_overwrite, whole

    (image, *others) = pictures([args.image])
    if others:
        raise EmotiwError(f"{args.image} is a folder of {1 + len(others)} pictures: name one of them")
    output = args.output or Path(f"{'stdin' if image == STDIN else Path(image).stem}.explained.png")
    refuse_overwrite(output, args.force)
    models = open_models(args.model or [DEFAULT_MODEL])
    detect = looked_for(models, args.detect)
    face = next(faces_in([image], detect=detect))
    if isinstance(face, Failure):
        raise EmotiwError(f"{face.image}: {face.reason}")
    engine = engine_of(args)
    with Predictor(models, engine, mean_rule=args.mean) as predictor:
        print(*predictor.describe(), *warnings(models, detect=detect), sep="\n")
        explanations = explain(face, predictor)
    with whole(output) as temporary:
        explanation_figure(explanations).savefig(temporary, format="png")
    print(f"{face.image}: {face.where} -> {output}")
