"""The nets that a SolverParameter trains and tests: Caffe's Solver::InitTrainNet and InitTestNets."""

from collections.abc import Iterator, Sequence
from os import W_OK, access
from pathlib import Path

from emotiw.engine.torch.graph import PHASES, Graph, Phase, State, graph_of, read_graph
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.descriptors import enum_name
from emotiw.prototxt.formats.messages import NetParameter, NetState, SolverParameter, read_text

_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


def read_solver(path: Path, folder: Path = Path()) -> SolverParameter:
    """Return the SolverParameter of a prototxt file as Caffe upgrades it.

    `solver_type` becomes `type`. If `snapshot_prefix` is missing, it becomes `path` without its suffix; if it is a
    folder, it becomes the file's name in that folder.

    Parameters
    ----------
    path
        The file, relative to `folder`.
    folder
        The folder to which all paths are relative.
    """
    if not (folder / path).is_file():
        raise EmotiwError(f"{folder / path}: no such file")
    param = upgrade_solver(read_text(folder / path, SolverParameter), str(folder / path))
    prefix = Path(param.snapshot_prefix)
    if not param.HasField("snapshot_prefix"):
        param.snapshot_prefix = str(path.with_suffix(""))
    elif (folder / prefix).is_dir():
        param.snapshot_prefix = str(prefix / path.stem)
    return param


def upgrade_solver(param: SolverParameter, where: str = "the solver") -> SolverParameter:
    """Return a copy of a SolverParameter with the solver type in the current format."""
    upgraded = SolverParameter()
    upgraded.CopyFrom(param)
    if param.HasField("solver_type"):
        if param.HasField("type"):
            raise EmotiwError(f"{where} has `solver_type` and `type`: Caffe takes either")
        upgraded.type = _TYPES[enum_name(param, "solver_type")]
        upgraded.ClearField("solver_type")
    return upgraded


_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def check_snapshots(param: SolverParameter, folder: Path) -> None:
    """Refuse snapshot settings that would fail, before a run has taken hours."""
    if param.snapshot_diff:
        raise EmotiwError("this engine does not write gradients: remove snapshot_diff")
    if not param.snapshot:
        return
    if not param.HasField("snapshot_prefix"):
        raise EmotiwError("snapshot_prefix is missing: snapshots need one")
    place = (folder / f"{param.snapshot_prefix}_iter").parent
    if not (place.is_dir() and access(place, W_OK)):
        raise EmotiwError(f"{place} is not a writable folder: snapshot_prefix names it")


def train_graph(param: SolverParameter, folder: Path) -> Graph:
    """Return the net to train; paths are relative to `folder`."""
    given = [field for field in _TRAIN_FIELDS if param.HasField(field)]
    if len(given) != 1:
        raise EmotiwError(
            f"a solver names one net to train, by {', '.join(_TRAIN_FIELDS)}: {' and '.join(given) or 'it names none'}"
        )
    return _graph(getattr(param, given[0]), given[0], folder, "TRAIN", param.train_state)


def test_graphs(param: SolverParameter, folder: Path) -> list[Graph]:
    """Return the nets to test, one for each `test_iter`; paths are relative to `folder`."""
    sources = list(_test_sources(param))
    count = len(param.test_iter)
    if len(sources) != count:
        raise EmotiwError(f"{len(sources)} nets to test and {count} test_iter: each needs one")
    if len(param.test_state) not in (0, count):
        raise EmotiwError(f"{len(param.test_state)} test_state for {count} nets to test: one for each, or none")
    if count and param.test_interval < 1:
        raise EmotiwError("test_interval is missing: there are nets to test")
    states: Sequence[NetState] = param.test_state or [NetState()] * count
    return [_graph(net, field, folder, "TEST", state) for (field, net), state in zip(sources, states, strict=True)]


def _test_sources(param: SolverParameter) -> Iterator[tuple[str, str | NetParameter]]:
    """Yield test nets with the field that names each: first those named for tests, then the common net for the rest."""
    for field in ("test_net_param", "test_net"):
        for net in getattr(param, field):
            yield field, net
    remaining = len(param.test_iter) - len(param.test_net_param) - len(param.test_net)
    for field in ("net_param", "net"):
        if param.HasField(field):
            for _ in range(remaining):
                yield field, getattr(param, field)


def _graph(net: str | NetParameter, field: str, folder: Path, phase: Phase, given: NetState) -> Graph:
    """Return the graph of a net, given by path or inline, in the state from the solver, the net and `given`."""
    if not isinstance(net, str):
        return graph_of(net, _state(net, phase, given), field)
    path = folder / net
    if not path.is_file():
        raise EmotiwError(f"{path}: no such file, which the solver's {field} names")
    return read_graph(path, _state(read_text(path, NetParameter), phase, given))


def _state(net: NetParameter, phase: Phase, given: NetState) -> State:
    state = NetState(phase=PHASES.index(phase))
    state.MergeFrom(net.state)
    state.MergeFrom(given)
    return State(PHASES[state.phase], state.level, frozenset(state.stage))
