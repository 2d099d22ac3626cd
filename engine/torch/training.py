"""A training as a worker carries it out: its log, the signals it takes, its ranks."""

import logging
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from emotiw.engine.base import DivergedError
from emotiw.prototxt.formats.hdf5 import is_hdf5

from .data.lmdb_source import Sources
from .hdf5 import copy_from_hdf5
from .solver.distributed import Request, ranks
from .solver.random_state import Randomness, Setting
from .solver.solver import Solver
from .solver.solver_param import read_solver
from .weights import copy_from

_GLOG = "%(levelname).1s%(asctime)s.%(msecs)03d %(process)d %(module)s] %(message)s"


def carry_out(solver: Path, weights: Path | None, resume: Path | None, device: str, precision: str) -> int:
    """Train as `train` does, and log it; return 1 where that fails, after a line that says why."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_GLOG, "%m%d %H:%M:%S"))
    log = logging.getLogger(__name__)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        train(solver, weights, resume, device, precision, log.info)
    except Exception as error:  # torch's own and the disk's, too: a traceback is nothing to read in a log
        if isinstance(error, DivergedError) and error.loss:  # as Caffe, which goes on, would log it
            log.info("Iteration %d, loss = %g", error.loss.iteration, error.loss.loss)
        log.error("%s", str(error).partition("\n")[0] or type(error).__name__)
        return 1
    return 0


def train(
    solver: Path, weights: Path | None, resume: Path | None, device: str, precision: str, log: Callable[..., None]
) -> None:
    """Train as a solver.prototxt says, with the other ranks where torchrun has started some.

    Parameters
    ----------
    solver
        Paths in it are relative to its folder.
    weights, resume
        A caffemodel or HDF5 file to start from; a solverstate to go on from, relative to the solver's folder.
    device
        `cpu` or `cuda`.
    precision
        One of `engine.PRECISIONS`.
    log
        Called with every line that Caffe would log.
    """
    folder = solver.parent
    param = read_solver(Path(solver.name), folder)
    seed = param.random_seed if param.random_seed >= 0 else None
    with ranks(device) as here, Sources(folder, here.device, seed, here.rank, here.count) as sources:
        training = Solver(param, folder, sources, here.device, precision)
        training.log, training.request = log, _signals()
        here.share(training)
        setting = Setting(str(torch.__version__), precision, here.device.type, here.count)
        nets = [training.net, *training.test_nets]
        training.randomness = Randomness(nets, sources, here.device, setting, here.rank)
        if weights:
            log(f"Finetuning from {weights}")
            copy = copy_from_hdf5 if is_hdf5(weights) else copy_from
            copy(training.net, weights)
        training.solve(resume)


def _signals() -> Callable[[], Request]:
    """Take signals as requests; return what hands on the next one."""
    waiting: deque[Request] = deque()
    for number, request in ((signal.SIGINT, Request.STOP), (signal.SIGHUP, Request.SNAPSHOT)):
        signal.signal(number, lambda *_, request=request: waiting.append(request))
    return lambda: waiting.popleft() if waiting else Request.NONE
