"""Where the nets that are opened next compute, and from which seed: pycaffe's modes, which hold for the process."""

from dataclasses import dataclass

import torch

from emotiw.errors import EmotiwError


@dataclass
class _Modes:
    gpu: bool = False
    number: int = 0
    seeded: bool = False


_MODES = _Modes()


def set_mode_cpu() -> None:
    """Have the nets that are opened from now on compute on the CPU; so it is at first."""
    _MODES.gpu = False


def set_mode_gpu() -> None:
    """Have the nets that are opened from now on compute on the GPU of `set_device`."""
    _check_gpu(_MODES.number)
    _MODES.gpu = True


def set_device(number: int) -> None:
    """Name the GPU, from 0."""
    _check_gpu(number)
    _MODES.number = number


def set_random_seed(seed: int) -> None:
    """Begin torch's draws anew, and with them the fillers, crops and mirrors of the nets that are opened from now on.

    The numbers are not those that Caffe draws from the same seed.
    """
    torch.manual_seed(seed)
    _MODES.seeded = True


def device() -> torch.device:
    """Return where a net that is opened now computes."""
    return torch.device("cuda", _MODES.number) if _MODES.gpu else torch.device("cpu")


def draw_seed() -> int | None:
    """Return the seed of what is opened now; None: another at each call, where no seed was set."""
    return int(torch.randint(2**31, ())) if _MODES.seeded else None


def _check_gpu(number: int) -> None:
    count = torch.cuda.device_count()
    if not 0 <= number < count:
        raise EmotiwError(f"no GPU {number}: torch finds {count}; set_mode_cpu() needs none")
