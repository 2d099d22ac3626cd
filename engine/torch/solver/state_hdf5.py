"""Solverstates as HDF5: Caffe's SnapshotSolverStateToHDF5 and RestoreSolverStateFromHDF5."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from emotiw.errors import EmotiwError
from emotiw.files import whole
from emotiw.prototxt.formats.blobs import Blob


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


def write_state_hdf5(path: Path, saved: Saved) -> None:
    """Write a solverstate; the file is complete or absent."""
    with whole(path) as temporary, h5py.File(temporary, "w") as file:
        for name, number in (("iter", saved.iteration), ("current_step", saved.step)):
            file.create_dataset(name, data=np.array([number], np.int32))
        if saved.learned_net is not None:
            learned = saved.learned_net.encode()
            file.create_dataset("learned_net", data=np.array(learned, f"S{len(learned) + 1}"))  # read as a C string
        history = file.create_group("history")
        for k, array in enumerate(saved.history):
            history.create_dataset(str(k), data=array)


def read_state_hdf5(path: Path) -> Saved:
    """Return the contents of a solverstate.

    Raises
    ------
    EmotiwError
        If it is damaged, or the file is none.
    """
    try:
        with h5py.File(path, "r") as file:
            iteration, step = (int(np.ravel(file[name][()])[0]) for name in ("iter", "current_step"))
            learned_net = bytes(file["learned_net"][()]).decode() if "learned_net" in file else None
            history = file["history"]
            arrays = [np.asarray(history[str(k)][()], np.float32) for k in range(len(history))]
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise EmotiwError(f"{path} is not a solverstate in HDF5 that can be read: {error}") from None
    return Saved(iteration, step, learned_net, tuple(arrays))
