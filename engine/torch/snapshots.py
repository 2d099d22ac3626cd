"""Snapshots of a run, a caffemodel and a solverstate each: Caffe's Solver::Snapshot and Restore."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.base import DivergedError
from emotiw.errors import EmotiwError

from .net import Net
from .state import Saved, read_state, write_state
from .weights import copy_from, write_weights


def write_snapshot(folder: Path, weights: str, net: Net, iteration: int, step: int, history: Sequence[Tensor]) -> None:
    """Write the weights, then the state.

    Parameters
    ----------
    folder
        What the name is relative to, in the state, too.
    weights
        The caffemodel's name.
    net, iteration, step, history
        Of the run; `step` is the policy's.

    Raises
    ------
    DivergedError
        Where a weight is not finite; nothing is written then.
    """
    if not all(one.blob.isfinite().all() for one in net.learnable):
        raise DivergedError(f"the weights are no finite numbers any more after iteration {iteration}")
    write_weights(folder / weights, net)
    write_state(folder / state_name(weights), iteration, step, weights, history)


def state_name(weights: str) -> str:
    """Return how the solverstate beside a caffemodel is called."""
    return f"{weights.removesuffix('.caffemodel')}.solverstate"


def read_snapshot(path: Path, folder: Path, net: Net, history: Sequence[Tensor]) -> Saved:
    """Copy a snapshot's weights and history into a net's; return the solverstate, which says the iteration.

    Raises
    ------
    EmotiwError
        Where the solverstate, or the caffemodel that it names, is missing or does not fit; nothing is changed then.
    """
    saved = read_state(path, history)
    if saved.learned_net is not None:
        weights = folder / saved.learned_net
        if not weights.is_file():
            raise EmotiwError(f"{weights}: no such file, which {path} names; put its caffemodel there")
        copy_from(net, weights)
    with torch.no_grad():
        for tensor, array in zip(history, saved.history, strict=True):
            tensor.copy_(torch.from_numpy(array))
    return saved
