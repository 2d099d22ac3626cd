"""The training loop, on a net that can be followed in the head: w x 1, its loss w^2 / 2, its gradient w."""

import pytest
import torch

from emotiw.engine.base import DivergedError, Loss, Snapshot
from emotiw.engine.torch.solver.distributed import Request
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.solver.solver_param import read_solver
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.prototxt.formats.messages import SolverParameter, SolverState, parse_text, read_binary, write_binary

NET = """name: "half"
layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 1 dim: 1 } shape { dim: 1 dim: 1 }
  data_filler { value: 1 } data_filler { value: 0 } } }
layer { name: "w" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 1 bias_term: false weight_filler { type: "constant" value: 8 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" include { not_stage: "silent" } }
"""
WIDE = NET.replace("dim: 1 dim: 1", "dim: 1 dim: 2", 1)
HALVING = 'base_lr: 0.5 lr_policy: "fixed" max_iter: 4 display: 1 snapshot_prefix: "s" '


def solver_of(text, folder, device="cpu", **hooks):
    (folder / "net.prototxt").write_text(NET)
    net = "" if "net" in text else 'net: "net.prototxt" '
    param = parse_text(HALVING, SolverParameter, "it")
    param.MergeFrom(parse_text(net + text, SolverParameter, "it"))
    solver = Solver(param, folder, device=device)
    vars(solver).update(hooks)
    return solver


def weight(solver):
    return solver.net.params["w"][0].item()


@pytest.fixture
def events():
    return []


def test_the_weight_is_halved(tmp_path, events):
    solver = solver_of("", tmp_path, on_progress=events.append)
    solver.step(3)
    assert (weight(solver), solver.iteration) == (1, 3)
    assert events == [Loss(0, 32), Loss(1, 8), Loss(2, 2)]


def test_solving_ends_with_a_snapshot_and_a_display(tmp_path, events):
    solver = solver_of("snapshot: 3", tmp_path, on_progress=events.append)
    solver.solve()
    files = [tmp_path / f"s_iter_{iteration}.caffemodel" for iteration in (3, 4)]
    assert events[2:] == [Loss(2, 2), Snapshot(3, files[0]), Loss(3, 0.5), Snapshot(4, files[1]), Loss(4, 0.125)]
    assert [read_weights(file)["w"][0].item() for file in files] == [1, 0.5]
    assert sorted(path.suffix for path in tmp_path.glob("s_*")) == [".caffemodel"] * 2 + [".solverstate"] * 2


def test_the_display_is_a_mean_of_the_last(tmp_path, events):
    solver = solver_of("average_loss: 2", tmp_path, on_progress=events.append)
    solver.step(3)
    assert events == [Loss(0, 32), Loss(1, 20), Loss(2, 5)]
    solver.step(1)  # as in Caffe, a new call of step starts a new window
    assert events[3:] == [Loss(3, 0.5)]


def test_passes_of_an_iteration_are_one_batch(tmp_path):
    solver = solver_of("iter_size: 3", tmp_path)
    solver.step(1)
    assert solver.net.params["w"][0].grad.item() == 8
    assert weight(solver) == 4


@pytest.mark.parametrize("form", ["net", "net_param", "train_net", "train_net_param"])
def test_a_net_is_named_in_four_ways(tmp_path, form):
    value = "{ %s }" % NET if form.endswith("param") else ': "net.prototxt"'  # noqa: UP031
    solver = solver_of(f"{form} {value}", tmp_path)
    solver.step(1)
    assert weight(solver) == 4


def test_tests_are_of_the_weights_of_the_moment(tmp_path):
    lines = []
    solver = solver_of("test_iter: 2 test_iter: 1 test_interval: 2", tmp_path, log=lines.append)
    solver.solve()
    assert [line for line in lines if "Test net output" in line] == [
        f"    Test net output #0: loss = {loss} (* 1 = {loss} loss)" for loss in ("32", "2", "0.125") for _ in range(2)
    ]
    assert [scores["loss"].item() for scores in solver.test_scores] == [0.125, 0.125]
    solver.net.params["w"][0].data.fill_(3)
    assert [net.params["w"][0].item() for net in solver.test_nets] == [3, 3]


def test_a_test_net_has_its_own_weights_until_the_first_test(tmp_path):
    solver = solver_of("test_iter: 1 test_interval: 2 test_initialization: false", tmp_path)
    (test_net,) = solver.test_nets
    test_net.params["w"][0].data.fill_(77)
    solver.step(2)
    assert (test_net.params["w"][0].item(), weight(solver) == 77) == (77, False)
    solver.step(1)
    assert test_net.params["w"][0].item() == weight(solver)
    assert test_net.params["w"][0].grad is None


def test_snapshots_in_hdf5_are_resumed(tmp_path):
    text = "momentum: 0.5 snapshot: 2 snapshot_prefix: 's' snapshot_format: HDF5 max_iter: 4"
    lines = []
    whole = solver_of(text, tmp_path, log=lines.append)
    whole.solve()
    assert "Snapshotting to HDF5 file s_iter_2.caffemodel.h5" in lines
    assert "Snapshotting solver state to HDF5 file s_iter_2.solverstate.h5" in lines
    resumed = solver_of(text, tmp_path)
    resumed.solve(tmp_path / "s_iter_2.solverstate.h5")
    assert (resumed.iteration, weight(resumed)) == (4, weight(whole))
    assert weight(solver_of(text + " weights: 's_iter_4.caffemodel.h5'", tmp_path)) == weight(whole)
    (tmp_path / "s_iter_2.solverstate.h5").write_bytes((tmp_path / "s_iter_4.caffemodel.h5").read_bytes())
    with pytest.raises(EmotiwError, match=r"s_iter_2\.solverstate\.h5 is not a solverstate in HDF5 that can be read"):
        solver_of(text, tmp_path).restore(tmp_path / "s_iter_2.solverstate.h5")


def test_the_first_test_can_be_left_out(tmp_path):
    lines = []
    text = "test_iter: 1 test_interval: 2 test_initialization: false"
    solver_of(text, tmp_path, log=lines.append).step(3)
    assert [line for line in lines if "Testing" in line] == ["Iteration 2, Testing net (#0)"]


def test_states_choose_the_layers(tmp_path):
    states = 'test_iter: 1 test_iter: 1 test_interval: 1 test_state { stage: "silent" } test_state {}'
    solver = solver_of(states, tmp_path)
    assert [net.outputs for net in solver.test_nets] == [["t", "y"], ["loss"]]
    assert {layer.param.phase for net in solver.test_nets for layer in net.layers} == {1}
    silent = solver_of('train_state { stage: "silent" }', tmp_path)
    silent.step(2)  # the net has no loss, so nothing is learned
    assert (silent.net.outputs, weight(silent), silent.iteration) == (["t", "y"], 8, 2)
    (tmp_path / "other.prototxt").write_text('state { stage: "silent" }\n' + NET)
    text = 'train_net: "net.prototxt" test_net: "other.prototxt" test_iter: 1 test_interval: 1'
    assert solver_of(text, tmp_path).test_nets[0].outputs == ["t", "y"]


def test_a_test_net_of_another_shape_is_refused(tmp_path):
    text = f'train_net: "net.prototxt" test_net_param {{ {WIDE} }} test_iter: 1 test_interval: 1'
    with pytest.raises(EmotiwError, match=r"layer 'w' learns \[\(1, 1\)\] in one net, \[\(1, 2\)\] in another"):
        solver_of(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('net_param {} train_net: "n"', "names one net to train, by net, .*: net_param and train_net"),
        ("test_iter: 1", "test_interval is missing"),
        ('test_net: "net.prototxt" test_interval: 1', "it names none"),
        ('net: "net.prototxt" test_net: "net.prototxt" test_interval: 1', "1 nets to test and 0 test_iter"),
        ("test_iter: 1 test_iter: 1 test_interval: 1 test_state {}", "1 test_state for 2 nets"),
        ('net: "none.prototxt"', "none.prototxt: no such file, which the solver's net names"),
        ("solver_type: ADAM type: 'SGD'", "`solver_type` and `type`"),
        ("average_loss: 0", "average_loss is 0"),
        ("snapshot: 1 snapshot_prefix: 'no/where/s'", "no/where is not a writable folder"),
        ("snapshot_diff: true", "does not write gradients"),
        ("weights: 'none.caffemodel'", "none.caffemodel: no such file"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, text, words):
    with pytest.raises(EmotiwError, match=words):
        solver_of(text, tmp_path)


def test_weights_to_start_from(tmp_path):
    solver = solver_of("", tmp_path)
    solver.step(1)
    solver.snapshot().rename(tmp_path / "a.caffemodel")
    assert weight(solver_of("weights: 'a.caffemodel, a.caffemodel'", tmp_path)) == 4


def test_a_nan_loss_ends_it_at_its_iteration(tmp_path, events):
    solver = solver_of("base_lr: 1e30 snapshot: 1", tmp_path, on_progress=events.append)
    with pytest.raises(DivergedError, match=r"the loss is inf at iteration 1$"):
        solver.solve()
    assert events == [Loss(0, 32), Snapshot(1, tmp_path / "s_iter_1.caffemodel")]
    assert read_weights(tmp_path / "s_iter_1.caffemodel")["w"][0].item() == pytest.approx(-8e30)


@pytest.mark.gpu
def test_on_a_gpu(tmp_path, events):
    solver = solver_of("snapshot: 2", tmp_path, device="cuda", on_progress=events.append)
    solver.step(3)
    assert weight(solver) == 1
    assert events == [Loss(0, 32), Loss(1, 8), Snapshot(2, tmp_path / "s_iter_2.caffemodel"), Loss(2, 2)]
    other = solver_of("", tmp_path)
    other.restore(tmp_path / "s_iter_2.solverstate")
    assert weight(other) == 2


@pytest.mark.gpu
@pytest.mark.parametrize("iterations", [5, 50])
def test_on_a_gpu_losses_are_looked_at_later_but_none_is_missed(tmp_path, iterations):
    solver = solver_of("base_lr: 1e30 display: 0", tmp_path, device="cuda")
    with pytest.raises(DivergedError, match=r"the loss is inf at iteration 1$"):
        solver.step(iterations)
    assert solver.iteration == min(iterations, 19)


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    solver = solver_of("", tmp_path)
    solver.net.params["w"][0].data.fill_(float("nan"))
    with pytest.raises(DivergedError, match="weights are not finite after iteration 0"):
        solver.snapshot()
    assert not list(tmp_path.glob("s_*"))


def test_a_test_of_a_diverged_net_says_so(tmp_path):
    solver = solver_of("test_iter: 1 test_interval: 1", tmp_path)
    solver.net.params["w"][0].data.fill_(float("nan"))
    with pytest.raises(DivergedError, match="the loss of a test is nan at iteration 0"):
        solver.step(1)


def test_requests(tmp_path, events):
    solver = solver_of("", tmp_path, on_progress=events.append)
    asked = iter([Request.NONE, Request.SNAPSHOT, Request.STOP])
    solver.request = lambda: next(asked)
    solver.solve()
    # Caffe's `caffe train` snapshots when it is stopped, too.
    assert [event.iteration for event in events if isinstance(event, Snapshot)] == [2, 3]
    assert solver.iteration == 3


def test_a_request_in_a_test(tmp_path):
    lines = []
    solver = solver_of("test_iter: 5 test_interval: 1", tmp_path, log=lines.append)
    asked = iter([Request.SNAPSHOT, Request.NONE, Request.STOP, Request.NONE])
    solver.request = lambda: next(asked)
    solver.solve()
    assert solver.iteration == 0
    assert lines[-5:] == [
        "Test interrupted.",
        "Snapshotting to binary proto file s_iter_0.caffemodel",
        "Snapshotting solver state to binary proto file s_iter_0.solverstate",
        "Snapshot of iteration 0 is whole",
        "Optimization stopped early.",
    ]


def test_callbacks_stand_where_caffes_do(tmp_path):
    reported = []
    solver = solver_of("", tmp_path)
    solver.on_start.append(lambda: reported.append(solver.net.params["w"][0].grad))
    solver.on_gradients_ready.append(lambda: solver.net.params["w"][0].grad.mul_(2))
    solver.step(1)
    assert reported == [None]
    assert weight(solver) == 0


def test_an_update_with_user_gradients(tmp_path):
    solver = solver_of("", tmp_path)
    solver.net.params["w"][0].grad = torch.ones(1, 1)
    solver.apply_update()
    assert (weight(solver), solver.iteration) == (7.5, 1)


def test_a_seed_makes_the_same_weights(tmp_path):
    (tmp_path / "random.prototxt").write_text(NET.replace('"constant" value: 8', '"xavier"'))
    weights = [weight(solver_of(f'net: "random.prototxt" random_seed: {seed}', tmp_path)) for seed in (3, 3, 4)]
    assert weights[0] == weights[1] != weights[2]


def test_solver_files(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt" lr_policy: "fixed" solver_type: NESTEROV')
    param = read_solver(tmp_path / "solver.prototxt")
    assert (param.type, param.snapshot_prefix) == ("Nesterov", str(tmp_path / "solver"))
    with pytest.raises(EmotiwError, match="no such file"):
        read_solver(tmp_path / "none")


@pytest.fixture
def stopped(tmp_path):
    solver = solver_of("momentum: 0.5", tmp_path)
    solver.step(2)
    solver.snapshot()
    return tmp_path / "s_iter_2.solverstate"


def test_going_on_is_as_not_having_stopped(tmp_path, stopped):
    gone_on, straight = solver_of("momentum: 0.5", tmp_path), solver_of("momentum: 0.5", tmp_path)
    gone_on.solve(stopped)
    straight.solve()
    assert weight(gone_on) == weight(straight)
    assert gone_on.iteration == 4


def test_a_folder_can_be_moved(tmp_path, stopped):
    other = tmp_path / "other"
    other.mkdir()
    for path in tmp_path.glob("s_iter_*"):
        path.rename(other / path.name)
    solver = solver_of("momentum: 0.5", other)
    solver.restore(other / stopped.name)
    assert solver.iteration == 2


def test_a_state_without_weights_leaves_them(tmp_path, stopped):
    state = read_binary(stopped, SolverState)
    state.ClearField("learned_net")
    write_binary(stopped, state)
    solver = solver_of("momentum: 0.5", tmp_path)
    solver.restore(stopped)
    assert (weight(solver), solver.iteration) == (8, 2)


def break_it(path, how):
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif how == "weights gone":
        path.with_suffix(".caffemodel").unlink()


@pytest.mark.parametrize(
    ("how", "text", "words"),
    [
        ("gone", "", "s_iter_2.solverstate: no such file"),
        ("cut", "", "is not a complete SolverState of Caffe"),
        ("weights gone", "", "s_iter_2.caffemodel: no such file, which .*solverstate names"),
        ("of another type", "type: 'Adam'", "has 1 blobs of history, this solver 2: it is of another net or another"),
        ("of another net", 'net_param { %s }', "history 0 is of shape \\(1, 1\\), the net's blob of \\(1, 2\\)"),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(tmp_path, stopped, how, text, words):
    break_it(stopped, how)
    solver = solver_of(text.replace("%s", WIDE), tmp_path)
    before = [blob.clone() for blob in solver.net.params["w"]]
    with pytest.raises(EmotiwError, match=words):
        solver.restore(stopped)
    assert solver.iteration == 0
    assert torch.equal(before[0], solver.net.params["w"][0])
    assert not any(tensor.any() for tensor in solver.update.history)
