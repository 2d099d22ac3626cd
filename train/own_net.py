"""A user's own net: a folder with `train_val.prototxt`, `deploy.prototxt` and, optionally, a solver.

```
DIR/train_val.prototxt   data layers with the tops `data` and `label`, of any crop, batch, mean and scale; a last
                         InnerProduct, with a width that is filled in; SoftmaxWithLoss
    deploy.prototxt      the same for an input `data` of N x 3 x crop x crop; `prob`, or its last Softmax, is the output
    solver.prototxt      its settings, under those of --solver; without it base_lr and max_iter must be given
```

A run folder is such a folder, so a net that was run can be copied and edited.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.formats.messages import TRAIN, NetParameter, SolverParameter, prototxt_of, read_text
from emotiw.prototxt.formats.upgrade import read_net
from emotiw.prototxt.net_diff import differences
from emotiw.prototxt.shapes import LayerError, shapes
from emotiw.prototxt.solvers import check_resumable, merged
from emotiw.prototxt.surgery import (
    classifiers,
    crop_size,
    data_layers,
    deploy,
    input_side,
    input_transform,
    losses,
    trains_only,
    use_set,
)

TRAIN_VAL, DEPLOY, SOLVER = "train_val.prototxt", "deploy.prototxt", "solver.prototxt"

# Settings that a solver needs but that are not part of a recipe; no base_lr or max_iter suits every net.
_BASE = SolverParameter(
    net=TRAIN_VAL,
    snapshot_prefix="snapshot",
    solver_mode=0,  # CPU; `caffe train --gpu 0` overrides it
    type="SGD",
    lr_policy="fixed",
    momentum=0.9,
    weight_decay=0.0005,
    display=20,
)
# Fields that a run fills in, ignoring a solver file's.
_FILLED = ("net", "snapshot_prefix", "solver_mode", "random_seed")


@dataclass(frozen=True)
class OwnNet:
    """A user's net, checked.

    Attributes
    ----------
    folder
        Its folder.
    train_val
        Its train_val, with placeholders for sources and mean.
    solver
        The solver settings; without a solver file they lack base_lr and max_iter.
    """

    folder: Path
    train_val: NetParameter
    solver: SolverParameter


def read_own_net(folder: Path) -> OwnNet:
    """Read a user's own net.

    Raises
    ------
    UsageError
        If a file is missing, or the net cannot be trained on a prepared set; the message names file, layer and line.
    """
    for name in (TRAIN_VAL, DEPLOY):
        if not (folder / name).is_file():
            raise UsageError(f"{folder / name} is missing: your own net needs {TRAIN_VAL} and {DEPLOY}")
    try:
        train_val, deployed = (read_net(folder / name) for name in (TRAIN_VAL, DEPLOY))
        _check(train_val, folder / TRAIN_VAL)
        _check_deploy(train_val, deployed, folder)
        own = read_text(folder / SOLVER, SolverParameter) if (folder / SOLVER).is_file() else SolverParameter()
    except UsageError:
        raise
    except EmotiwError as error:
        raise UsageError(str(error)) from None
    for name in _FILLED:
        own.ClearField(name)
    check_resumable(own, str(folder / SOLVER))
    use_set(train_val, {"TRAIN": "train_lmdb", "TEST": "val_lmdb"}, "mean.binaryproto")
    return OwnNet(folder, train_val, merged(_BASE, own))


def _line_of(path: Path, word: str) -> int:
    """Return the line of a prototxt on which a quoted word first occurs as a name or a type, or 1."""
    pattern = re.compile(rf"\b(?:name|type)\s*:\s*[\"']{re.escape(word)}[\"']")
    for number, line in enumerate(prototxt_of(path).split("\n"), 1):
        if pattern.search(line):
            return number
    return 1


def _fail(path: Path, layer: str, words: str) -> NoReturn:
    raise UsageError(f"{path}:{_line_of(path, layer)}: {words}")


def _check(train_val: NetParameter, path: Path) -> None:
    """Raise if a train_val cannot be trained on a prepared set."""
    fail = partial(_fail, path)
    _check_data(train_val, path, fail)
    input_transform(train_val, path)
    _build(train_val, path)
    _check_statistics(train_val, path)
    if not losses(train_val):
        fail("", "no SoftmaxWithLoss: add one, because a net must learn to classify")
    tops = {top for layer in train_val.layer if layer.name in classifiers(train_val) for top in layer.top}
    for loss in losses(train_val):
        if list(loss.bottom[1:]) != ["label"]:
            fail(loss.name, f"layer {loss.name} is not computed from the blob `label` of the data layer")
        if loss.bottom[0] not in tops:
            words = (
                f"layer {loss.name} takes {loss.bottom[0]}, which no InnerProduct makes: its width cannot be filled in"
            )
            fail(loss.name, words)


def _check_data(train_val: NetParameter, path: Path, fail: Callable[[str, str], NoReturn]) -> None:
    for layer in train_val.layer:
        if not layer.bottom and layer.type != "Data":
            fail(
                layer.name, f"layer {layer.name} of type {layer.type}: images come from a prepared set, by a Data layer"
            )
    found = data_layers(train_val)
    phases = [tuple(rule.phase for rule in layer.include) for layer in found]
    if (
        not found
        or len(set(phases)) != len(phases)
        or (() in phases and len(phases) > 1)
        or phases[0] not in ((), (TRAIN,))
    ):
        fail("Data", "it needs one Data layer for both phases, or one for TRAIN and one for TEST")
    for layer in found:
        if list(layer.top) != ["data", "label"]:
            tops = ", ".join(layer.top)
            fail(layer.name, f"layer {layer.name} has the tops {tops}, and must have `data` and `label`")
        if not layer.transform_param.crop_size or not layer.data_param.batch_size:
            fail(layer.name, f"layer {layer.name} needs a crop_size in transform_param and a batch_size in data_param")


def _build(net: NetParameter, path: Path) -> None:
    """Raise if a layer's type is unknown, or it does not fit the layers before it; name its line."""
    try:
        shapes(net)
    except LayerError as error:
        _fail(path, error.layer, str(error))


def _check_statistics(net: NetParameter, path: Path) -> None:
    """Raise if the posteriors of an image would depend on the other images of its batch."""
    for layer in net.layer:
        p = layer.batch_norm_param
        if not trains_only(layer) and p.HasField("use_global_stats") and not p.use_global_stats:
            words = (
                f"layer {layer.name} has use_global_stats: false, so scoring would use the statistics of its own "
                "batches: leave the field out, then only training does"
            )
            _fail(path, layer.name, words)


def _check_deploy(train_val: NetParameter, deployed: NetParameter, folder: Path) -> None:
    """Raise if the deploy net differs from what was trained."""
    path = folder / DEPLOY
    _build(deployed, path)
    _check_statistics(deployed, path)
    side, crop = input_side(deployed, path), crop_size(train_val)
    if [list(layer.top) for layer in deployed.layer if layer.type == "Input"] != [["data"]]:
        raise UsageError(f"{path}: its input must be the blob `data`")
    if side != crop:
        raise UsageError(f"{path} takes {side} pixels, but {TRAIN_VAL} crops {crop}: make them equal")
    answers = [layer for layer in deployed.layer if layer.type == "Softmax"]
    if not answers:
        raise UsageError(f"{path} has no Softmax: its output must be posteriors")
    last = next((layer for layer in answers if "prob" in layer.top), answers[-1])
    last.name, last.top[:] = "prob", ["prob"]
    last_layers = classifiers(train_val)
    if unlike := differences(_compared(deployed, last_layers), _compared(deploy(train_val), last_layers)):
        raise UsageError(
            f"{path} differs from the net that {TRAIN_VAL} trains: {'; '.join(unlike[:3])}: make them equal"
        )


def _compared(net: NetParameter, last_layers: Collection[str]) -> NetParameter:
    """Return a copy of a deploy net without dropout, phases and the filled-in width, which change no score."""
    compared = NetParameter()
    for layer in net.layer:
        if layer.type == "Dropout" and list(layer.top) == list(layer.bottom):
            continue
        added = compared.layer.add()
        added.CopyFrom(layer)
        added.ClearField("include")
        if added.batch_norm_param.use_global_stats:  # Caffe's default in the TEST phase
            added.batch_norm_param.ClearField("use_global_stats")
        if layer.name in last_layers:
            added.inner_product_param.num_output = 1
    return compared
