"""Snapshots of a run, a caffemodel and a solverstate each: Caffe's Solver::Snapshot and Restore."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.events import DivergedError
from emotiw.errors import EmotiwError

from .net import Net
from .state import Saved, read_state, write_state
from .weights import copy_from, write_weights


def write_snapshot(folder: Path, prefix: str, net: Net, iteration: int, step: int, history: Sequence[Tensor]) -> Path:
    """Write the weights, then the state; return the caffemodel.

    Parameters
    ----------
    folder
        What the prefix is relative to, in the name of the caffemodel that the state holds, too.
    prefix
        `snapshot_prefix`.
    net, iteration, step, history
        Of the run; `step` is the policy's.

    Raises
    ------
    DivergedError
        Where a weight is not finite; nothing is written then.
    """
    if not all(one.blob.isfinite().all() for one in net.learnable):
        raise DivergedError(f"the weights are no finite numbers any more after iteration {iteration}")
    weights = weights_name(prefix, iteration)
    write_weights(folder / weights, net)
    write_state((folder / weights).with_suffix(".solverstate"), iteration, step, weights, history)
    return folder / weights


def weights_name(prefix: str, iteration: int) -> str:
    """Return how the caffemodel of an iteration's snapshot is called."""
    return f"{prefix}_iter_{iteration}.caffemodel"


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
