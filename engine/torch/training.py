"""A training in a worker process: its log, signals and ranks."""

import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from emotiw.engine.base import DivergedError

from .data.lmdb_source import Sources
from .glog import glog_line
from .solver.distributed import Request, ranks
from .solver.random_state import Randomness, Setting
from .solver.solver import Solver
from .solver.solver_param import read_solver
from .weights import copy_from


def carry_out(solver: Path, weights: Path | None, resume: Path | None, device: str, precision: str) -> int:
    """Run `train`, and log it; if that fails, log why and return 1."""
    try:
        train(solver, weights, resume, device, precision, _say)
    except Exception as error:  # torch's errors and the disk's, too: logs have one line instead of a traceback
        if isinstance(error, DivergedError) and error.loss:  # as Caffe, which does not stop, would log it
            _say(f"Iteration {error.loss.iteration}, loss = {error.loss.loss:g}")
        _say(str(error).partition("\n")[0] or type(error).__name__, "E")
        return 1
    return 0


def _say(line: str, severity: str = "I") -> None:
    print(glog_line(line, "training", severity), file=sys.stderr, flush=True)


def train(
    solver: Path, weights: Path | None, resume: Path | None, device: str, precision: str, log: Callable[[str], None]
) -> None:
    """Train by a solver.prototxt, together with other ranks if torchrun started this process.

    Parameters
    ----------
    solver
        A solver's prototxt; paths in it are relative to the current folder, as in `caffe train`.
    weights, resume
        A caffemodel or HDF5 file to start from; a solverstate to resume from.
    device
        `cpu` or `cuda`.
    precision
        One of `engine.PRECISIONS`.
    log
        Called with each line that Caffe would log.
    """
    param, folder = read_solver(solver), Path()
    seed = param.random_seed if param.random_seed >= 0 else None
    with ranks(device) as here, Sources(folder, here.device, seed, here.rank, here.count) as sources:
        training = Solver(param, folder, sources, here.device, precision)
        training.log, training.request = log, _signals()
        here.share(training)
        setting = Setting(str(torch.__version__), precision, here.device.type, here.count)
        nets = [training.net, *training.test_nets]
        for net in nets:
            net.kept = ()  # a quarter of the memory of an iteration
        training.randomness = Randomness(nets, sources, here.device, setting, here.rank)
        if weights:
            log(f"Finetuning from {weights}")
            copy_from(training.net, weights)
        training.solve(resume)


def _signals() -> Callable[[], Request]:
    """Turn signals into requests; return a function that returns the next request."""
    waiting: deque[Request] = deque()
    for number, request in ((signal.SIGINT, Request.STOP), (signal.SIGHUP, Request.SNAPSHOT)):
        signal.signal(number, lambda *_, request=request: waiting.append(request))
    return lambda: waiting.popleft() if waiting else Request.NONE
