"""pycaffe's process-wide modes: the device and seed of nets opened later."""

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
