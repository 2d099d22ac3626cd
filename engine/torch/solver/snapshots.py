"""Snapshots, a caffemodel and a solverstate each: Caffe's Solver::Snapshot and Restore."""

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
    """The contents of a solverstate.

    Attributes
    ----------
    iteration
        The number of updates so far.
    step
        The learning-rate policy's step.
    learned_net
        The caffemodel of that iteration, as written in the file; None: the weights stay as they are.
    history
        An array for each tensor of the solver's history.
    """

    iteration: int
    step: int
    learned_net: str | None
    history: tuple[Blob, ...]


def write_state(path: Path, iteration: int, step: int, learned_net: str, history: Sequence[Tensor]) -> None:
    """Write a solverstate; the file is complete or absent."""
    state = SolverState(iter=iteration, current_step=step, learned_net=learned_net)
    state.history.extend(blob_of(tensor.cpu().numpy()) for tensor in history)
    write_binary(path, state)


def read_state(path: Path, history: Sequence[Tensor]) -> Saved:
    """Return the contents of a solverstate.

    Parameters
    ----------
    path
        A solverstate of either engine.
    history
        The solver's history tensors, whose number and shapes the file must match.

    Raises
    ------
    EmotiwError
        If the file is missing, is not a solverstate, or is one of another net or another type of solver.
    """
    if path.suffix == ".h5":
        raise EmotiwError(f"{path}: this engine does not read HDF5; name a .solverstate of snapshot_format BINARYPROTO")
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
    """Return a blob's array in a tensor's shape; old files have leading axes of 1, as each blob had four axes."""
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
        The folder to which the caffemodel's name is relative, also in the state.
    weights
        The caffemodel's name.
    net, iteration, step, history
        Those of the solver; `step` is the policy's.

    Raises
    ------
    DivergedError
        If a weight is not finite; then nothing is written.
    """
    if not all(one.blob.isfinite().all() for one in net.learnable):
        raise DivergedError(f"the weights are not finite after iteration {iteration}")
    write_weights(folder / weights, net)
    write_state(folder / state_name(weights), iteration, step, weights, history)


def state_name(weights: str) -> str:
    """Return the name of the solverstate that belongs to a caffemodel."""
    return f"{weights.removesuffix('.caffemodel')}.solverstate"


def read_snapshot(path: Path, folder: Path, net: Net, history: Sequence[Tensor]) -> Saved:
    """Copy a snapshot's weights and history into a net and `history`; return the solverstate, which has the iteration.

    Raises
    ------
    EmotiwError
        If the solverstate, or the caffemodel that it names, is missing or does not fit; then nothing is changed.
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
