"""The prototxt of a run as executed: a row's own, on a set."""

from typing import Any

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.files import whole, write_text
from emotiw.prototxt.formats.messages import format_text
from emotiw.prototxt.surgery import deploy, use_set

from .runs import Run


def write_executed(
    run: Run, train_val: Any, solver: Any, prepared: PreparedSet, representation: str, seed: int
) -> None:
    """Write train_val, deploy, solver and mean into the run folder: this set's files, this seed.

    Parameters
    ----------
    train_val, solver
        A NetParameter, as wide as the set has classes, and a SolverParameter; both are changed.
    """
    folder = prepared.folder.resolve()
    sources = {"TRAIN": str(folder / representation / "train_lmdb"), "TEST": str(folder / representation / "val_lmdb")}
    use_set(train_val, sources, "mean.binaryproto")
    solver.net = "train_val.prototxt"
    solver.random_seed = seed
    solver.snapshot = min(solver.snapshot, solver.max_iter)
    # A diverging loss must show before the last good snapshot is pruned.
    solver.display = min(solver.display, solver.snapshot, max(1, solver.max_iter // 20))
    for name, message in (("train_val", train_val), ("deploy", deploy(train_val)), ("solver", solver)):
        write_text(run.folder / f"{name}.prototxt", format_text(message))
    with whole(run.folder / "mean.binaryproto") as temporary:
        temporary.write_bytes(prepared.mean_file(representation).read_bytes())
