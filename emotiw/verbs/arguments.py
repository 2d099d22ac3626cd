"""Arguments that several verbs share, said once."""

import argparse
from collections.abc import Sequence

from emotiw.errors import UsageError
from emotiw.lbp_mapping.representation import PAPER, Representation, parse


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
    args: argparse.Namespace, default: Sequence[Representation], threshold: float = 0.0
) -> list[Representation]:
    """Return what -r says, each once; `threshold` is for those that do not spell their own."""
    names = args.representations or map(str, default)
    try:
        return list(dict.fromkeys(parse(name, threshold) for name in names))
    except ValueError as error:
        raise UsageError(str(error)) from None


def add_caffe(parser: argparse.ArgumentParser) -> None:
    """Add `--caffe PATH`."""
    parser.add_argument(
        "--caffe",
        metavar="PATH",
        help="a caffe program, or the folder of a build (default: $EMOTIW_CAFFE, caffe on the PATH, the installed one)",
    )
