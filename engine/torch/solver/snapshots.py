"""Snapshots, a caffemodel and a solverstate each: Caffe's Solver::Snapshot and Restore."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.base import DivergedError
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.weights import copy_from, write_weights
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import Blob, array_of, blob_of
from emotiw.prototxt.formats.hdf5 import is_hdf5
from emotiw.prototxt.formats.messages import SolverState, read_binary, write_binary

from .state_hdf5 import Saved, read_state_hdf5, write_state_hdf5


def write_state(path: Path, iteration: int, step: int, learned_net: str, history: Sequence[Tensor]) -> None:
    """Write a solverstate, as HDF5 if its name ends in .h5; the file is complete or absent."""
    if path.suffix == ".h5":
        write_state_hdf5(path, Saved(iteration, step, learned_net, tuple(each.cpu().numpy() for each in history)))
        return
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
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file")
    state = read_state_hdf5(path) if is_hdf5(path) else _read_binary(path)
    if len(state.history) != len(history):
        raise EmotiwError(
            f"{path} has {len(state.history)} blobs of history, this solver {len(history)}: "
            "it is of another net or another type of solver"
        )
    fitting = [
        _fitting(array, tensor, f"{path}: history {k}")
        for k, (array, tensor) in enumerate(zip(state.history, history, strict=True))
    ]
    return replace(state, history=tuple(fitting))


def _read_binary(path: Path) -> Saved:
    state = read_binary(path, SolverState)
    return Saved(
        state.iter,
        state.current_step,
        state.learned_net if state.HasField("learned_net") else None,
        tuple(array_of(blob, f"{path}: history {k}") for k, blob in enumerate(state.history)),
    )


def _fitting(array: Blob, tensor: Tensor, where: str) -> Blob:
    """Return an array in a tensor's shape; old files have leading axes of 1, as each blob had four axes."""
    given, shape = array.shape, tuple(tensor.shape)
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
    """Return the name of the solverstate that belongs to a caffemodel, of the same format."""
    stem, _, suffix = weights.rpartition(".caffemodel")
    return f"{stem}.solverstate{suffix}"


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
