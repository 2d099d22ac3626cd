"""Solver settings: merge them, check them, and find where the learning rate steps."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from emotiw.errors import EmotiwError, UsageError

from .formats.messages import M, SolverParameter, format_text, parse_text

TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""The update rules of Caffe 1.0.0, as `type` names them."""

# Fields that a run fills in, with what to use instead.
_FILLED: Mapping[str, str] = {
    "net": "name your own net by --net",
    "net_param": "name your own net by --net",
    "train_net": "name your own net by --net",
    "train_net_param": "name your own net by --net",
    "test_net": "name your own net by --net",
    "test_net_param": "name your own net by --net",
    "snapshot_prefix": "snapshots go into the run folder",
    "weights": "name the weights to start from by --from",
    "device_id": "name a GPU by --gpu",
    "layer_wise_reduce": "name GPUs by --gpu",
    "solver_type": "the current name is `type`",
}
_AS_FILLED: Mapping[str, tuple[str, ...]] = {
    "net": ("train_val.prototxt", "train_val_pretrain.prototxt", "train_val_finetune.prototxt"),
    "snapshot_prefix": ("snapshot",),
}
# Settings with which a run could not be resumed.
_REFUSED: Mapping[str, tuple[object, str]] = {
    "snapshot_format": (0, "a run is resumed from binary snapshots: leave HDF5 out"),
    "snapshot_after_train": (False, "the last snapshot is the model: leave it out"),
    "solver_mode": (1, "name a GPU by --gpu: leave this out"),
}
# Further settings with which Caffe would stop, or divide by zero, when the training begins.
_FATAL: Sequence[tuple[Callable[[SolverParameter], bool], str]] = (
    (lambda p: not isfinite(p.base_lr), "base_lr must be finite"),
    (lambda p: p.average_loss < 1, "average_loss must be at least 1"),
    (lambda p: min(p.display, p.snapshot, p.test_interval) < 0, "display, snapshot, test_interval must be at least 0"),
    (lambda p: p.regularization_type not in ("L1", "L2"), "regularization_type must be 'L1' or 'L2'"),
    (lambda p: p.type in ("AdaGrad", "RMSProp") and p.momentum != 0, "AdaGrad and RMSProp need momentum: 0"),
    (lambda p: p.type == "RMSProp" and not 0 <= p.rms_decay < 1, "rms_decay must be at least 0 and below 1"),
    (lambda p: len(p.test_iter) > 0 and p.test_interval == 0, "test_iter needs a test_interval"),
    (lambda p: len(p.test_state) not in (0, len(p.test_iter)), "each test_state needs a test_iter"),
)


def merged(base: M, over: M) -> M:
    """Return a copy of `base` with the settings of `over`.

    A single field is replaced and a nested message is merged, as by `MergeFrom`. A repeated field, such as `stepvalue`,
    is replaced as a whole: `MergeFrom` would append to it, and no text could shorten a schedule.
    """
    result = type(base)()
    result.CopyFrom(base)
    _clear_repeated(result, over)
    result.MergeFrom(over)
    return result


def _clear_repeated(base: Message, over: Message) -> None:
    for field, value in over.ListFields():
        if hasattr(value, "extend"):
            base.ClearField(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and base.HasField(field.name):
            _clear_repeated(getattr(base, field.name), value)


def parse_settings(text: str, where: str) -> SolverParameter:
    """Return the settings in a solver text, without those that equal what every run fills in.

    Raises
    ------
    UsageError
        If a field is misspelt, conflicts with what the run fills in, or would make the run impossible to resume.
    """
    try:
        solver = parse_text(text, SolverParameter, where)
    except EmotiwError as error:
        raise UsageError(f"{error}; the settings are those of Caffe's SolverParameter") from None
    for name, reason in _FILLED.items():
        value = getattr(solver, name) if solver.DESCRIPTOR.fields_by_name[name] in _given(solver) else None
        if value is not None and value not in _AS_FILLED.get(name, ()):
            raise UsageError(f"{where}: {name} cannot be set: {reason}")
        solver.ClearField(name)
    check_resumable(solver, where)
    for name in _REFUSED:
        solver.ClearField(name)
    return solver


def check_resumable(solver: SolverParameter, where: str) -> None:
    """Raise `UsageError` if a solver has a setting with which a run could not be resumed."""
    for name, (value, reason) in _REFUSED.items():
        if solver.HasField(name) and getattr(solver, name) == value:
            raise UsageError(f"{where}: {name}: {reason}")


def _given(solver: SolverParameter) -> list[FieldDescriptor]:
    return [field for field, _ in solver.ListFields()]


def one_line(solver: SolverParameter) -> str:
    """Return settings as one line of prototxt."""
    return " ".join(format_text(solver).split("\n")).strip()


def check_solver(solver: SolverParameter, where: str) -> None:
    """Raise `UsageError` if a solver lacks a required setting, or has a value that Caffe refuses."""
    missing = [name for name in ("base_lr", "lr_policy", "max_iter") if not solver.HasField(name)]
    if missing:
        raise UsageError(f"{where} lacks {' and '.join(missing)}: give them, such as --solver 'base_lr: 0.01'")
    if not (solver.base_lr > 0 and solver.max_iter > 0 and solver.iter_size > 0):
        raise UsageError(f"{where}: base_lr, max_iter and iter_size must be above 0")
    if solver.type not in TYPES:
        raise UsageError(f"{where}: there is no solver type {solver.type!r}: name one of {', '.join(TYPES)}")
    for is_fatal, words in _FATAL:
        if is_fatal(solver):
            raise UsageError(f"{where}: {words}")


def refuse_twice(text: str, where: str, elsewhere: Mapping[str, str]) -> None:
    """Raise `UsageError` if a solver text sets a field that is also given elsewhere: ``{"max_iter": "--epochs"}``."""
    given = parse_settings(text, where)
    for name, place in elsewhere.items():
        if given.HasField(name):
            raise UsageError(f"{where} gives {name}, and {place} gives it, too: leave one of them out")


def rate_steps(solver: SolverParameter) -> list[int]:
    """Return the iterations at which the schedule lowers the rate in a step; a smooth policy has none.

    The steps of `step` never end; here they end with the first one that is not reached.
    """
    if solver.lr_policy == "step" and solver.stepsize > 0:
        return [*range(solver.stepsize, solver.max_iter + solver.stepsize, solver.stepsize)]
    return list(solver.stepvalue) if solver.lr_policy == "multistep" else []
