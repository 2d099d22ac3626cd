"""The training process: `python -m emotiw.engine.torch.worker SOLVER`, alone or under torchrun.

Paths are relative to the current folder, as in `caffe train`. It logs to standard error in Caffe's format. At SIGINT
(Ctrl-C) it writes a snapshot and stops; at SIGHUP it writes a snapshot, as in `caffe train`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from emotiw.engine.child_process import die_with
from emotiw.engine.settings import PRECISIONS

LEASHED = "EMOTIW_LEASHED"  # in the environment: set if emotiw started this worker by torchrun


def main(argv: Sequence[str] | None = None) -> int:
    """Train; if that fails, log why in one line and return 1."""
    if "LOCAL_RANK" in os.environ:  # torchrun starts each rank in its own session
        _die_with_torchrun()
    args = _parser().parse_args(argv)
    from .training import carry_out  # importing torch takes seconds; meanwhile torchrun may die

    return carry_out(args.solver, args.weights, args.resume, args.device, args.precision)


def _die_with_torchrun() -> None:
    parent = os.getppid()
    die_with(parent)
    if LEASHED in os.environ and b"torch.distributed" not in Path(f"/proc/{parent}/cmdline").read_bytes():
        sys.exit(1)  # torchrun is dead already


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emotiw.engine.torch.worker", description="Train as a solver.prototxt says.")
    parser.add_argument("solver", type=Path, help="a solver.prototxt; paths in it are relative to the current folder")
    parser.add_argument("--weights", type=Path, help="a caffemodel or HDF5 file to start from")
    parser.add_argument("--resume", type=Path, help="a solverstate to resume from")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    return parser


if __name__ == "__main__":
    sys.exit(main())
