"""A .solverstate in and out: what, beside the weights, a run goes on from; Caffe's SolverState."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import Blob, array_of, blob_of
from emotiw.prototxt.formats.messages import SolverState, read_binary, write_binary


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
        Where the file is missing, is no solverstate, or one of another net or another type of solver.
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


def _fitting(blob: Any, tensor: Tensor, where: str) -> Blob:
    """Return a blob's array in a tensor's shape; ones before it are of the time when each blob had four axes."""
    array, shape = array_of(blob, where), tuple(tensor.shape)
    given = array.shape
    if given != shape and (1,) * (len(given) - len(shape)) + shape != given:
        raise EmotiwError(f"{where} is of shape {given}, the net's blob of {shape}: it is of another net")
    return array.reshape(shape)
