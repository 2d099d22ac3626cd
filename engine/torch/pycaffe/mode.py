"""pycaffe's process-wide modes: the device and seed of nets opened later, one process, the log."""

import os
import sys
from dataclasses import dataclass

import torch

from emotiw.engine.torch.glog import glog_line
from emotiw.errors import EmotiwError

_LEAST = "GLOG_minloglevel"  # glog's variable, which scripts set


@dataclass
class _Modes:
    gpu: bool = False
    number: int = 0
    seeded: bool = False


_MODES = _Modes()


def set_mode_cpu() -> None:
    """Open later nets on the CPU, which is the default."""
    _MODES.gpu = False


def set_mode_gpu() -> None:
    """Open later nets on the GPU of `set_device`."""
    _check_gpu(_MODES.number)
    _MODES.gpu = True


def set_device(number: int) -> None:
    """Set the number of the GPU, from 0."""
    _check_gpu(number)
    _MODES.number = number


def set_random_seed(seed: int) -> None:
    """Seed torch's generator, and with it the fillers, crops and mirrors of nets opened later.

    Caffe draws other numbers from the same seed.
    """
    torch.manual_seed(seed)
    _MODES.seeded = True


def set_solver_count(count: int) -> None:
    """Do nothing for one solver; refuse several."""
    _check_alone("set_solver_count", count, 1)


def set_solver_rank(rank: int) -> None:
    """Do nothing for the only solver; refuse others."""
    _check_alone("set_solver_rank", rank, 0)


def set_multiprocess(several: bool) -> None:
    """Do nothing for one process; refuse several."""
    _check_alone("set_multiprocess", several, False)


def solver_count() -> int:
    """Return 1."""
    return 1


def solver_rank() -> int:
    """Return 0."""
    return 0


def has_nccl() -> bool:
    """Return False: `NCCL` is not offered."""
    return False


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Log lines of this severity and above only: 0 for information, 1 for warnings; always to standard error."""
    os.environ[_LEAST] = str(level)


def log(message: str) -> None:
    """Write a line to standard error as Caffe's log does, unless GLOG_minloglevel in the environment is above 0."""
    if os.environ.get(_LEAST, "0") in ("", "0"):
        print(glog_line(message, "pycaffe"), file=sys.stderr, flush=True)


def device() -> torch.device:
    """Return the device for nets opened now."""
    return torch.device("cuda", _MODES.number) if _MODES.gpu else torch.device("cpu")


def draw_seed() -> int | None:
    """Return the seed for a net opened now; None (a random seed) if none was set."""
    return int(torch.randint(2**31, ())) if _MODES.seeded else None


def _check_gpu(number: int) -> None:
    count = torch.cuda.device_count()
    if not 0 <= number < count:
        raise EmotiwError(f"no GPU {number}: torch finds {count}; set_mode_cpu() needs none")


def _check_alone(name: str, given: int, only: int) -> None:
    if given != only:
        raise EmotiwError(
            f"{name}({given}): here a solver trains in one process; for several GPUs run emotiw.engine.torch.worker "
            "by torchrun"
        )
