"""The verb `export`.

The file holds the whole way from pixels to posteriors: centre crop, channel order, mean, scale, net, softmax. Its input
is uint8 RGB. Without options that is a batch of images as in a prepared set, N x 256 x 256 x 3 for the authors' models;
with --input face or --mapping one face of any size, H x W x 3, as it was cropped. The metadata name the classes, the
representation, the origin of the weights, and the sha256 of the files.
"""

import argparse
from pathlib import Path

from emotiw.commands.options import add_mean

SUFFIX = ".onnx"
MOST_SHOWN = 10  # classes: a set of identities has thousands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw export` takes."""
    parser.add_argument(
        "model", metavar="NAME|RUN", help="a released model (see emotiw models) or the folder of a finished run"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx", help="where to write")
    parser.add_argument(
        "--input",
        choices=("prepared", "face"),
        help="what the graph takes: images of a prepared set's size (default), or a face of any size, which the graph "
        "resizes as emotiw predict does",
    )
    parser.add_argument(
        "--mapping",
        action="store_true",
        help="of a model of mapped codes: the graph takes a face and maps it, too: grey, LBP codes, colours",
    )
    add_mean(parser)
    parser.add_argument("--force", action="store_true", help="replace a file that exists")


def run(args: argparse.Namespace) -> None:
    """Write the file."""
    from emotiw.errors import UsageError
    from emotiw.extras import require
    from emotiw.files import refuse_overwrite, whole

    if args.output.suffix != SUFFIX or args.output.is_dir():
        raise UsageError(f"{args.output} is not the name of an ONNX file: give one that ends in {SUFFIX}")
    if args.mapping and args.input == "prepared":
        raise UsageError("--mapping takes a face, and --input prepared does not: leave one out")
    refuse_overwrite(args.output, args.force)
    require("onnx", "emotiw export")

    from emotiw.evaluate.model import open_model
    from emotiw.evaluate.onnx_model import image_input, onnx_model, steps
    from emotiw.inputs import Look

    model = open_model(args.model, Look.CHANGED)
    image = image_input(model, args.input or "prepared", mapping=args.mapping, mean_rule=args.mean)
    print(f"{model.title}: {image.name}: {steps(model, image, args.mean)}", flush=True)
    exported = onnx_model(model, image, args.mean)
    with whole(args.output) as temporary:
        temporary.write_bytes(exported.SerializeToString(deterministic=True))
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB, opset {exported.opset_import[0].version}")
    shown, hidden = model.classes[:MOST_SHOWN], len(model.classes[MOST_SHOWN:])
    print(f"{exported.graph.output[0].name}: {', '.join(shown)}" + (f" and {hidden:,} more" if hidden else ""))
