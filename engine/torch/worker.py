"""A training in a process of its own: `python -m emotiw.engine.torch.worker SOLVER`, alone or under torchrun.

It logs on standard error in Caffe's words. SIGINT (Ctrl-C) ends it in order, with a snapshot; SIGHUP makes one, as in
`caffe train`.
"""

import argparse
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from emotiw.engine import PRECISIONS
from emotiw.engine.events import DivergedError
from emotiw.engine.leash import die_with
from emotiw.errors import EmotiwError

from .data import Sources
from .parallel import ranks
from .scheme import read_solver
from .solver import Solver
from .together import Request
from .weights import copy_from

_GLOG = "%(levelname).1s%(asctime)s.%(msecs)03d %(process)d %(module)s] %(message)s"


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return 1, after a line that says why, where that fails."""
    die_with(os.getppid())
    args = _parser().parse_args(argv)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_GLOG, "%m%d %H:%M:%S"))
    log = logging.getLogger(__name__)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        train(args, log)
    except (EmotiwError, torch.OutOfMemoryError) as error:
        if isinstance(error, DivergedError) and error.loss:  # as Caffe, which goes on, would log it
            log.info("Iteration %d, loss = %g", error.loss.iteration, error.loss.loss)
        log.error("%s", str(error).partition("\n")[0])
        return 1
    return 0


def train(args: argparse.Namespace, log: logging.Logger) -> None:
    """Train as the command line says."""
    folder = args.solver.parent
    param = read_solver(Path(args.solver.name), folder)
    seed = param.random_seed if param.random_seed >= 0 else None
    with ranks(args.device) as here, Sources(folder, here.device, seed, here.rank, here.count) as sources:
        solver = Solver(param, folder, sources, here.device, say=log.info, precision=args.precision)
        solver.request = _signals()
        here.share(solver)
        if args.weights:
            log.info("Finetuning from %s", args.weights)
            copy_from(solver.net, args.weights)
        solver.solve(args.resume)


def _signals() -> Callable[[], Request]:
    """Take signals as requests; return what hands on the next one."""
    waiting: deque[Request] = deque()
    for number, request in ((signal.SIGINT, Request.STOP), (signal.SIGHUP, Request.SNAPSHOT)):
        signal.signal(number, lambda *_, request=request: waiting.append(request))
    return lambda: waiting.popleft() if waiting else Request.NONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emotiw.engine.torch.worker", description="Train as a solver.prototxt says.")
    parser.add_argument("solver", type=Path, help="paths in it are relative to its folder")
    parser.add_argument("--weights", type=Path, help="a caffemodel to start from")
    parser.add_argument("--resume", type=Path, help="a solverstate to go on from")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    return parser


if __name__ == "__main__":
    sys.exit(main())
