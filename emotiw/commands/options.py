"""Arguments that several verbs share, said once."""

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emotiw.engine.settings import ENGINES, PRECISIONS, EngineSettings
from emotiw.errors import UsageError
from emotiw.lbp_mapping.representation import PAPER, Representation, parse

if TYPE_CHECKING:
    from emotiw.engine.base import Engine

DEFAULT_MODEL = "VGG_S_rgb"


def add_representations(parser: argparse.ArgumentParser, default: Sequence[Representation]) -> None:
    """Add `-r REPRESENTATION...`; `representations` reads what it got."""
    parser.add_argument(
        "-r",
        dest="representations",
        nargs="+",
        action="extend",
        metavar="REPRESENTATION",
        help=f"named ({', '.join(map(str, PAPER))}) or spelled, such as lbp:radius=2, "
        f"cyclic_lbp:radius=3:threshold=5 or hamming_lbp (default: {' '.join(map(str, default))})",
    )


def representations(
    args: argparse.Namespace, default: Sequence[Representation], threshold: float = 0.0, radius: int = 1
) -> list[Representation]:
    """Return what -r says, each once; `threshold` and `radius` are for those that do not spell their own."""
    names = args.representations or map(str, default)
    try:
        return list(dict.fromkeys(parse(name, threshold, radius) for name in names))
    except ValueError as error:
        raise UsageError(str(error)) from None


def add_crops(parser: argparse.ArgumentParser) -> None:
    """Add `--crops 1|10`."""
    # Deviation D10
    parser.add_argument(
        "--crops",
        type=int,
        choices=(1, 10),
        default=1,
        help="the centre, or centre and corners, each mirrored too (default: 1)",
    )


def scores_title(text: str) -> str:
    """Return a name of scores, which stands in the names of their files, as argparse's `type`."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of scores: small letters, digits and single hyphens")
    return text


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Add `--verify`."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="hash every file on record again, not only those of another size, time or inode",
    )


def add_models(parser: argparse.ArgumentParser, *, crops: bool = True, default: str = DEFAULT_MODEL) -> None:
    """Add which models see what of a picture: what `emotiw predict`, `explain` and `serve` share."""
    parser.add_argument(
        "--model",
        nargs="+",
        action="extend",
        metavar="NAME|RUN",
        help=f"a released model (see emotiw models) or the folder of a finished run (default: {default})",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--detect",
        action="store_true",
        default=None,
        help="look for every face (default, unless all models are runs that were trained on whole pictures)",
    )
    which.add_argument(
        "--aligned", dest="detect", action="store_false", help="each picture is the crop of a face already"
    )
    if crops:
        add_crops(parser)
    # Deviation D11
    parser.add_argument(
        "--mean",
        choices=("resize", "crop"),
        default="",
        help="how the mean is brought to the input's size (default: resize, as pycaffe does, for the authors' models; "
        "crop, as it was trained, for a run)",
    )
    add_engine(parser)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add which engine computes; `engine_of` opens it."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="caffe: the real one, the reference (default); torch: the same nets by PyTorch, on newer GPUs, too",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="of --engine torch: float32, as Caffe's (default); tf32, of newer GPUs; bf16, of these and of CPUs with "
        "AMX or AVX512_BF16: faster, and scores differ by about 1 %%",
    )
    parser.add_argument(
        "--gpu",
        metavar="IDS",
        default="",
        help="which GPUs: 0, or 0,1, or all, or none. Caffe, which must be built for them, trains there (default: "
        "none); torch scores there, too (default: the first, where there is one)",
    )
    add_caffe(parser)


def engine_of(args: argparse.Namespace, *, here: bool = True) -> "Engine":
    """Return the engine that the command line names, which is to compute `here` or on other machines."""
    from emotiw.engine.registry import open_engine

    engine = open_engine(EngineSettings(args.engine, args.caffe, args.gpu, args.precision))
    if here:
        engine.require()
    return engine


def engine_flags(settings: EngineSettings) -> list[str]:
    """Return the words by which another command opens the same engine: what `add_engine` reads."""
    named = {"--caffe": settings.caffe, "--gpu": settings.gpu}
    if settings.engine != ENGINES[0]:
        named = {"--engine": settings.engine, "--precision": settings.precision, **named}
    return [word for flag, value in named.items() if value for word in (flag, value)]


def add_caffe(parser: argparse.ArgumentParser) -> None:
    """Add `--caffe PATH`."""
    parser.add_argument(
        "--caffe",
        metavar="PATH",
        help="a caffe program, or the folder of a build (default: $EMOTIW_CAFFE, caffe on the PATH, the installed one)",
    )
