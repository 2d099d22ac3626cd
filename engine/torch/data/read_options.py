"""How a process reads its sources."""

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class ReadOptions:
    """The options that are the same for every type of source.

    Attributes
    ----------
    folder
        The folder to which the prototxt's paths are relative.
    device
        The device on which batches are made.
    seed
        Of random crops, mirrors and orders; None: a random seed.
    rank, ranks
        The rank of this process, and the number of processes, which share the records.
    """

    folder: Path = Path()
    device: torch.device | str = "cpu"
    seed: int | None = None
    rank: int = 0
    ranks: int = 1


DEFAULTS = ReadOptions()
"""One process on the CPU, with paths relative to the current folder and a random seed."""
