"""Arguments that several verbs share."""

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emotiw.engine.settings import ENGINES, MEANS, PRECISIONS, EngineSettings
from emotiw.errors import UsageError
from emotiw.lbp_mapping.representation import PAPER, Representation, parse

if TYPE_CHECKING:
    from emotiw.engine.base import Engine

DEFAULT_MODEL = "VGG_S_rgb"


def add_representations(parser: argparse.ArgumentParser, default: Sequence[Representation]) -> None:
    """Add `-r REPRESENTATION...`, which `representations` reads."""
    parser.add_argument(
        "-r",
        dest="representations",
        nargs="+",
        action="extend",
        metavar="REPRESENTATION",
        help=f"by name ({', '.join(map(str, PAPER))}) or by mapping and settings, such as lbp:radius=2, "
        f"cyclic_lbp:radius=3:threshold=5 or hamming_lbp (default: {' '.join(map(str, default))})",
    )


def representations(
    args: argparse.Namespace, default: Sequence[Representation], threshold: float = 0.0, radius: int = 1
) -> list[Representation]:
    """Return the representations that -r names, each once.

    `threshold` (in grey values) and `radius` (in pixels) apply to those that do not name their own.
    """
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
        help="1: the centre; 10: centre and corners, each also mirrored (default: 1)",
    )


def scores_title(text: str) -> str:
    """Return a valid name of scores (it becomes part of file names); for argparse's `type`."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of scores: use small letters, digits, single hyphens")
    return text


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Add `--verify`."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="hash every recorded file again, not only those with a changed size, time or inode",
    )


def add_models(parser: argparse.ArgumentParser, *, crops: bool = True, default: str = DEFAULT_MODEL) -> None:
    """Add the choice of models, faces, crops, mean and engine of `emotiw predict`, `explain` and `serve`."""
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
        help="detect every face (default, unless all models are runs that were trained on whole pictures)",
    )
    which.add_argument(
        "--aligned", dest="detect", action="store_false", help="take each whole picture as the crop of a face"
    )
    if crops:
        add_crops(parser)
    add_mean(parser)
    add_engine(parser)


def add_mean(parser: argparse.ArgumentParser) -> None:
    """Add `--mean RULE`."""
    # Deviation D11
    parser.add_argument(
        "--mean",
        choices=MEANS,
        default="",
        help="how the mean is fitted to the input's size; channel: one number for each channel, its average (default: "
        "resize, as pycaffe does, for the authors' models; crop, as in training, for a run)",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the engine, which `engine_of` opens."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="caffe: the real Caffe, the reference (default); torch: the same nets in PyTorch, also on newer GPUs",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="with --engine torch: float32, as in Caffe (default); tf32, for newer GPUs; bf16, for these and "
        "for CPUs with AMX or AVX512_BF16: faster, and scores differ by about 1 %%",
    )
    parser.add_argument(
        "--gpu",
        metavar="IDS",
        default="",
        help="which GPUs: 0, or 0,1, or all, or none. Caffe trains on them, if built for GPUs (default: none); torch "
        "trains and scores on them (default: the first, if there is one)",
    )
    add_caffe(parser)


def engine_of(args: argparse.Namespace, *, here: bool = True) -> "Engine":
    """Return the engine that the command line names; if it is to compute `here`, check that it can."""
    from emotiw.engine.registry import open_engine

    engine = open_engine(EngineSettings(args.engine, args.caffe, args.gpu, args.precision))
    if here:
        engine.require()
    return engine


def engine_flags(settings: EngineSettings) -> list[str]:
    """Return the arguments (see `add_engine`) with which another command opens the same engine."""
    named = {"--caffe": settings.caffe, "--gpu": settings.gpu}
    if settings.engine != ENGINES[0]:
        named = {"--engine": settings.engine, "--precision": settings.precision, **named}
    return [word for flag, value in named.items() if value for word in (flag, value)]


def add_caffe(parser: argparse.ArgumentParser) -> None:
    """Add `--caffe PATH`."""
    parser.add_argument(
        "--caffe",
        metavar="PATH",
        help="a caffe program, or the folder of a build (default: $EMOTIW_CAFFE, else caffe on the PATH, else the "
        "installed one)",
    )
