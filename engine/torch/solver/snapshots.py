"""Snapshots of a run, a caffemodel and a solverstate each: Caffe's Solver::Snapshot and Restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.base import DivergedError
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.weights import copy_from, write_weights
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import Blob, array_of, blob_of
from emotiw.prototxt.formats.messages import BlobProto, SolverState, read_binary, write_binary


@dataclass(frozen=True)
class Saved:
    """What a solverstate holds.

    Attributes
    ----------
    iteration
        How many updates there were.
    step
        The learning-rate policy's.
    learned_net
        The caffemodel of that iteration, as written; None: the weights are to stay as they are.
    history
        As the solver keeps it: an array for each of its tensors.
    """

    iteration: int
    step: int
    learned_net: str | None
    history: tuple[Blob, ...]


def write_state(path: Path, iteration: int, step: int, learned_net: str, history: Sequence[Tensor]) -> None:
    """Write a solverstate, whole or not at all."""
    state = SolverState(iter=iteration, current_step=step, learned_net=learned_net)
    state.history.extend(blob_of(tensor.cpu().numpy()) for tensor in history)
    write_binary(path, state)


def read_state(path: Path, history: Sequence[Tensor]) -> Saved:
    """Return what a solverstate holds.

    Parameters
    ----------
    path
        Written by either engine.
    history
        The tensors that it is for.

    Raises
    ------
    EmotiwError
        If the file is missing, is no solverstate, or one of another net or another type of solver.
    """
    if path.suffix == ".h5":
        raise EmotiwError(f"{path}: this engine reads no HDF5; name a .solverstate of snapshot_format BINARYPROTO")
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    state = read_binary(path, SolverState)
    if len(state.history) != len(history):
        raise EmotiwError(
            f"{path} has {len(state.history)} blobs of history, this solver {len(history)}: "
            "it is of another net or another type of solver"
        )
    return Saved(
        state.iter,
        state.current_step,
        state.learned_net if state.HasField("learned_net") else None,
        tuple(
            _fitting(blob, tensor, f"{path}: history {k}")
            for k, (blob, tensor) in enumerate(zip(state.history, history, strict=True))
        ),
    )


def _fitting(blob: BlobProto, tensor: Tensor, where: str) -> Blob:
    """Return a blob's array in a tensor's shape; ones before it are of the time when each blob had four axes."""
    array, shape = array_of(blob, where), tuple(tensor.shape)
    given = array.shape
    if given != shape and (1,) * (len(given) - len(shape)) + shape != given:
        raise EmotiwError(f"{where} is of shape {given}, the net's blob of {shape}: it is of another net")
    return array.reshape(shape)


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
        If a weight is not finite; nothing is written then.
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
        If the solverstate, or the caffemodel that it names, is missing or does not fit; nothing is changed then.
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
