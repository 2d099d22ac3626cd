"""Arguments that several verbs share, said once."""

import argparse
from collections.abc import Sequence

from emotiw.lbp_mapping.representation import Representation, parse


def representation(text: str) -> Representation:
    """Return the representation that `text` names or spells, for argparse."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_representations(parser: argparse.ArgumentParser, default: Sequence[Representation]) -> None:
    """Add `-r REPRESENTATION...`."""
    parser.add_argument(
        "-r",
        dest="representations",
        type=representation,
        nargs="+",
        action="extend",
        metavar="REPRESENTATION",
        help="named (rgb, lbp, cyclic_lbp, cyclic_lbp_5, cyclic_lbp_10) or spelled, such as lbp:radius=2, "
        f"cyclic_lbp:radius=3:threshold=5 or hamming_lbp (default: {' '.join(map(str, default))})",
    )


def add_caffe(parser: argparse.ArgumentParser) -> None:
    """Add `--caffe PATH`."""
    parser.add_argument(
        "--caffe",
        metavar="PATH",
        help="a caffe program, or the folder of a build (default: $EMOTIW_CAFFE, caffe on the PATH, the installed one)",
    )
