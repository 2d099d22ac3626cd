"""The net of a run before it trains: the prototxt as executed on a set, and the weights to start from."""

from pathlib import Path
from typing import Any

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.errors import EmotiwError
from emotiw.files import whole, write_text
from emotiw.prototxt.formats.messages import PackedNet, format_text, read_binary
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import classifiers, deploy, name_anew, use_set
from emotiw.prototxt.weight_transfer import Copy, compare

from .run_folder import Run


def fit(train_val: Any, weights: Path) -> Copy:
    """Return what Caffe will copy of `weights`; a last layer of another width is named anew in `train_val`.

    Weights of 1000 classes can so start a net of other classes, as by hand in Caffe's fine-tuning example.

    Raises
    ------
    EmotiwError
        Where another layer has the same name and another shape, which is fatal in Caffe, with all such layers; or
        where no layer would be copied, which Caffe does in silence.
    """
    source = read_binary(weights, PackedNet)
    copy = compare(source, shapes(train_val)[1])
    if renamed := copy.misfits.keys() & classifiers(train_val):
        name_anew(train_val, renamed)
        copy = compare(source, shapes(train_val)[1])
    if copy.misfits:
        misfits = "; ".join(f"{layer} is {words}" for layer, words in copy.misfits.items())
        raise EmotiwError(f"{weights} does not fit {train_val.name}: {misfits}: give the weights of a net like it")
    if not copy.copied:
        raise EmotiwError(f"{weights} has no layer of {train_val.name}: give the weights of a net like it")
    return copy


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
