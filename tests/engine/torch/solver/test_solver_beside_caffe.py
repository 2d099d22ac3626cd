"""Solvers of every policy, type and regularization beside the real Caffe: the same weights, batches and settings."""

import json
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
import torch

from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.params import Learnable
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.solver.solver_param import read_solver
from emotiw.engine.torch.solver.update_rules import RULES
from emotiw.engine.torch.weights import write_weights
from emotiw.engine.training_log import last_words
from emotiw.prototxt.formats.blobs import array_of
from emotiw.prototxt.formats.messages import NetParameter, SolverState, format_text, read_binary
from emotiw.prototxt.surgery import committed
from emotiw.prototxt.zoo.nets import NETS

pytestmark = pytest.mark.caffe

WORKER = Path(__file__).with_name("caffe_solver_worker.py")
NET = """name: "small"
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TRAIN }
  memory_data_param { batch_size: 4 channels: 2 height: 7 width: 6 } }
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TEST }
  memory_data_param { batch_size: 5 channels: 2 height: 7 width: 6 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "tanh" type: "TanH" bottom: "conv" top: "conv" }
layer { name: "still" type: "InnerProduct" bottom: "conv" top: "still" param { lr_mult: 0 } param { lr_mult: 0 }
  inner_product_param { num_output: 8 } }
layer { name: "relu" type: "ReLU" bottom: "still" top: "still" }
layer { name: "fc" type: "InnerProduct" bottom: "still" top: "fc" param { lr_mult: 3 decay_mult: 0.5 }
  inner_product_param { num_output: 3 } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" loss_weight: 1.5 }
"""
# Layers of public nets; BatchNorm's statistics begin at zero, and are no solver's.
NORMED = """name: "normed"
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TRAIN }
  memory_data_param { batch_size: 4 channels: 2 height: 7 width: 6 } }
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TEST }
  memory_data_param { batch_size: 5 channels: 2 height: 7 width: 6 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 bias_term: false } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { moving_average_fraction: 0.9 } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "slope" type: "PReLU" bottom: "conv" top: "conv" param { lr_mult: 2 decay_mult: 0 } }
layer { name: "pyramid" type: "SPP" bottom: "conv" top: "pyramid" spp_param { pyramid_height: 2 pool: AVE } }
layer { name: "fc" type: "InnerProduct" bottom: "pyramid" top: "fc" inner_product_param { num_output: 8 } }
layer { name: "norm of fc" type: "BatchNorm" bottom: "fc" top: "normed"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 1 } param { lr_mult: 1 } }
layer { name: "elu" type: "ELU" bottom: "normed" top: "normed" }
layer { name: "last" type: "InnerProduct" bottom: "normed" top: "last" inner_product_param { num_output: 3 } }
layer { name: "accuracy" type: "Accuracy" bottom: "last" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "last" bottom: "label" top: "loss" }
layer { name: "hinge" type: "HingeLoss" bottom: "last" bottom: "label" top: "hinge" loss_weight: 0.1 }
"""
NORMED_LEARNS = {"conv": [(6, 2, 3, 3)], "fc": [(8, 30), (8,)], "last": [(3, 8), (3,)]}
LEARNED = {"conv": [(6, 2, 3, 3), (6,)], "still": [(8, 120), (8,)], "fc": [(3, 8), (3,)]}
PLAIN = 'net: "net.prototxt" snapshot_prefix: "s" max_iter: 20 display: 1 '
SGD = PLAIN + "base_lr: 0.05 momentum: 0.9 weight_decay: 0.01 "
STEP = 'lr_policy: "step" gamma: 0.5 stepsize: 6 '
POLICIES = {
    "fixed": 'lr_policy: "fixed"',
    "step": STEP,
    "exp": 'lr_policy: "exp" gamma: 0.9',
    "inv": 'lr_policy: "inv" gamma: 0.2 power: 0.75',
    "multistep": 'lr_policy: "multistep" gamma: 0.3 stepvalue: 4 stepvalue: 4 stepvalue: 11',
    "poly": 'lr_policy: "poly" power: 1.5',
    "sigmoid": 'lr_policy: "sigmoid" gamma: 0.5 stepsize: 8',
}
TYPES = {
    "SGD": SGD,
    "Nesterov": SGD + 'type: "Nesterov" ',
    "AdaGrad": PLAIN + 'type: "AdaGrad" base_lr: 0.02 weight_decay: 0.01 delta: 1e-4 ',
    "RMSProp": PLAIN + 'type: "RMSProp" base_lr: 0.005 weight_decay: 0.01 rms_decay: 0.95 delta: 1e-4 ',
    "AdaDelta": PLAIN + 'type: "AdaDelta" base_lr: 1 momentum: 0.95 weight_decay: 0.01 delta: 1e-4 ',
    "Adam": PLAIN + 'type: "Adam" base_lr: 0.005 momentum: 0.9 momentum2: 0.99 weight_decay: 0.01 delta: 1e-4 ',
}
OTHERS = {
    "old type": PLAIN + "base_lr: 0.05 momentum: 0.5 solver_type: NESTEROV " + STEP,
    "no momentum": PLAIN + "base_lr: 0.05 " + STEP,
    "iter_size": SGD + "iter_size: 2 average_loss: 3 " + STEP,
    "clip": SGD + "clip_gradients: 0.4 " + STEP,
    "seldom clipped": SGD + "clip_gradients: 1.7 " + STEP,
    "L1": SGD + 'regularization_type: "L1" ' + STEP,
    "all at once": TYPES["Nesterov"] + 'clip_gradients: 0.6 iter_size: 3 regularization_type: "L1" ' + STEP,
    "adam clipped": TYPES["Adam"] + "clip_gradients: 0.6 iter_size: 2 " + STEP,
    "tests": SGD + "test_iter: 3 test_interval: 4 test_compute_loss: true average_loss: 4 " + STEP,
}
CASES = (
    {f"policy {name}": SGD + policy for name, policy in POLICIES.items()}
    | {f"type {name}": settings + STEP for name, settings in TYPES.items()}
    | OTHERS
)


@dataclass(frozen=True)
class Case:
    solver: str
    seed: int = 0
    iterations: int = 20
    restore: str = ""
    solve: bool = False
    net: str = NET
    images: tuple[int, ...] = (2, 7, 6)
    learned: dict = field(default_factory=lambda: LEARNED)
    kinds: bool = False
    files: dict[str, Path] = field(default_factory=dict)


class Batches:
    """Batches like MemoryData's: one after another, cyclically."""

    def __init__(self, images, labels, batch):
        self.arrays, self.batch, self.at = (images, labels), batch, 0

    @property
    def shapes(self):
        return [(self.batch, *array.shape[1:]) for array in self.arrays]

    def next(self):
        places = np.arange(self.at, self.at + self.batch) % len(self.arrays[1])
        self.at = (self.at + self.batch) % len(self.arrays[1])
        return [torch.from_numpy(array[places]) for array in self.arrays]


def given_to(case):
    """Batches, and the weights of the layers that are to have others than their fillers give.

    Images are noise; with `kinds`, half as much, on one picture for each label.
    """
    rng = np.random.default_rng(case.seed)
    given = {}
    pictures = rng.standard_normal((3, *case.images)) if case.kinds else None
    for phase, count in (("TRAIN", 28), ("TEST", 20)):
        images, labels = rng.standard_normal((count, *case.images)), rng.integers(0, 3, count)
        given[f"images:{phase}"] = (images if pictures is None else images / 2 + pictures[labels]).astype(np.float32)
        given[f"labels:{phase}"] = labels.astype(np.float32)
    for layer, shapes in case.learned.items():
        for k, shape in enumerate(shapes):
            given[f"param:{layer}:{k}"] = (0.3 * rng.standard_normal(shape)).astype(np.float32)
    return given


def write(folder, case):
    folder.mkdir(parents=True)
    (folder / "net.prototxt").write_text(case.net)
    (folder / "solver.prototxt").write_text(case.solver)
    recorded = {"iterations": case.iterations, "restore": case.restore, "solve": case.solve}
    (folder / "case.json").write_text(json.dumps(recorded))
    np.savez(folder / "given.npz", **given_to(case))
    for name, path in case.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(path.read_bytes())


def by_caffe(caffe, folder, cases):
    """Run cases in the real Caffe, each in `folder`/<its name>; return for each its arrays and what it logged."""
    for name, case in cases.items():
        write(folder / name, case)
    with running(start(caffe, [caffe.python, WORKER, folder], stderr=PIPE)) as child:
        _, noise = child.communicate()
    log = noise.decode(errors="replace")
    assert child.returncode == 0, last_words(log, child.returncode) + log[-2000:]
    logs = {part.partition("\n")[0]: part for part in log.split("CASE ")[1:]}
    return {name: (dict(np.load(folder / name / "answers.npz")), logs[name].splitlines()) for name in cases}


def by_torch(folder, case):
    """Run the same cases in torch."""
    write(folder, case)
    given, lines = given_to(case), []

    def open_source(layer):
        phase = ("TRAIN", "TEST")[layer.phase]
        return Batches(given[f"images:{phase}"], given[f"labels:{phase}"], layer.memory_data_param.batch_size)

    solver = Solver(read_solver(Path("solver.prototxt"), folder), folder, open_source)
    solver.log = lines.append
    for layer in case.learned:
        for k, blob in enumerate(solver.net.params[layer]):
            blob.data.copy_(torch.from_numpy(given[f"param:{layer}:{k}"]))
    if case.restore:
        solver.restore(folder / case.restore)
    losses = []
    if case.solve:
        solver.solve()
    else:
        for _ in range(case.iterations):
            solver.step(1)
            losses.append([solver.net.blobs[name].item() for name in solver.net.outputs])
    recorded = {"loss": np.array(losses), "iteration": np.array(solver.iteration)}
    for layer, blobs in solver.net.params.items():
        recorded |= {f"param:{layer}:{k}": blob.detach().numpy() for k, blob in enumerate(blobs)}
    return recorded, lines


def check(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert ours["iteration"] == theirs["iteration"]
    assert np.abs(ours["loss"] - theirs["loss"]).max(initial=0) <= 1e-4
    errors = {
        name: float(np.linalg.norm(ours[name] - array) / np.linalg.norm(array))
        for name, array in theirs.items()
        if name.startswith("param:")
    }
    assert max(errors.values()) <= 1e-4, errors


# From a line of the log to the iteration or output, and its value.
LOGGED = {
    "lr": re.compile(r"Iteration (\d+), lr = (\S+)"),
    "loss": re.compile(r"Iteration (\d+)(?: \(.*\))?, loss = (\S+)"),
    "train": re.compile(r"Train net output #(\d+): \w+ = (\S+)"),
    "test": re.compile(r"Test net output #(\d+): \w+ = (\S+)"),
    "test loss": re.compile(r"Test (loss): (\S+)"),
    "testing": re.compile(r"Iteration (\d+), Testing net \(#(\d)\)"),
}


def logged(lines):
    recorded = {kind: [] for kind in LOGGED}
    for line in lines:
        for kind, pattern in LOGGED.items():
            if match := pattern.search(line):
                recorded[kind].append((match[1], float(match[2])))
    return recorded


def check_logs(ours, theirs):
    for kind, values in logged(theirs).items():
        recorded = logged(ours)[kind]
        assert [where for where, _ in recorded] == [where for where, _ in values], kind
        assert [value for _, value in recorded] == pytest.approx([value for _, value in values], rel=1e-4, abs=1e-5), (
            kind
        )


@pytest.fixture(scope="module")
def from_caffe(caffe, tmp_path_factory):
    cases = {name: Case(solver, seed) for seed, (name, solver) in enumerate(CASES.items())}
    cases["solve"] = Case(OTHERS["tests"], solve=True)
    cases["normed"] = Case(OTHERS["tests"] + "iter_size: 2 clip_gradients: 2", net=NORMED, learned=NORMED_LEARNS)
    cases["normed, solve"] = replace(cases["normed"], solve=True)
    return cases, by_caffe(caffe, tmp_path_factory.mktemp("caffe"), cases)


@pytest.mark.parametrize("name", [*CASES, "solve", "normed", "normed, solve"])
def test_twenty_iterations(from_caffe, tmp_path, name):
    cases, recorded = from_caffe
    ours, lines = by_torch(tmp_path / "torch", cases[name])
    theirs, log = recorded[name]
    assert any(not np.allclose(theirs[key], array) for key, array in given_to(cases[name]).items() if key in theirs)
    check(ours, theirs)
    check_logs(lines, log)


def real_case(name, folder):
    """Return a net of the project without dropout, its batches from memory, and the weights that it begins with.

    Weights are our fillers'; biases are N(0, 0.1). With the fillers' own biases, most of them one and two layers' zero,
    no two programs stay together: at base_lr 1e-3 Caffe leaves itself within 20 iterations, with one thread instead of
    two the losses of googlenet by 1.1e-3, vgg_s's biases that began at zero by 1.6e-3 of their norm, with weights
    changed by an ulp by 2e-2; torch left it by 1.1e-3 and 1e-2. Another maximum of a window wins, another ReLU opens,
    and each time 0.1 to 1 % of a gradient is another. From here, at 5e-4, measured as losses | blobs | blobs' changes:

        Caffe with one thread, with weights of an ulp more or less; torch: from Caffe with two threads
        vgg_s        1e-7 | 9e-7 | 0.4 %    4e-7 | 1.0e-6 | 0.5 %    5e-7 | 3e-7 | 0.1 %
        vgg_m_2048   2e-7 | 3e-7 | 0.6 %    1e-7 | 6e-7 | 1.0 %      2e-7 | 4e-7 | 0.7 %
        vgg_m_4096   1e-7 | 3e-7 | 0.4 %    2e-7 | 4e-7 | 0.6 %      4e-7 | 3e-7 | 0.4 %
        googlenet    4e-6 | 1.0e-6 | 0.4 %  4e-6 | 1.0e-6 | 0.4 %    3e-6 | 1.0e-6 | 0.4 %
    """
    train_val = committed(name, "train_val_finetune.prototxt")
    crop = train_val.layer[0].transform_param.crop_size
    memory = {"batch_size": 2, "channels": 3, "height": crop, "width": crop}
    net = NetParameter(name=name)
    net.layer.add(name="data", type="MemoryData", top=["data", "label"], memory_data_param=memory)
    net.layer.extend(layer for layer in train_val.layer if layer.type not in ("Data", "Dropout"))
    source = Batches(np.zeros((2, 3, crop, crop), np.float32), np.zeros(2, np.float32), 2)
    start = Net(graph_of(net, State("TRAIN")), lambda layer: source, seed=0)
    generator = torch.Generator().manual_seed(1)
    for _, bias in start.params.values():
        bias.data.normal_(0, 0.1, generator=generator)
    write_weights(folder / "start", start)
    settings = PLAIN + 'base_lr: 5e-4 momentum: 0.9 weight_decay: 5e-4 lr_policy: "step" gamma: 0.1 stepsize: 8 '
    case = Case(
        settings + 'weights: "start"',
        net=format_text(net),
        images=(3, crop, crop),
        learned={},
        kinds=True,
        files={"start": folder / "start"},
    )
    return case, {
        f"param:{layer}:{k}": blob.detach().numpy()
        for layer, blobs in start.params.items()
        for k, blob in enumerate(blobs)
    }


def changes_apart(ours, theirs, begun):
    """Return |ours - theirs| / |theirs - begun| of each blob: a wrong gradient shows, however little a blob moves."""
    return {
        name: float(np.linalg.norm(ours[name] - theirs[name]) / np.linalg.norm(theirs[name] - array))
        for name, array in begun.items()
    }


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name.endswith("_small") else pytest.mark.slow) for name in NETS]
)
def test_the_projects_nets(caffe, tmp_path, name):
    case, begun = real_case(name, tmp_path)
    rate = max(param.lr_mult for layer in committed(name, "train_val_finetune.prototxt").layer for param in layer.param)
    theirs, log = by_caffe(caffe, tmp_path / "caffe", {"it": case})["it"]
    ours, lines = by_torch(tmp_path / "torch", case)
    check(ours, theirs)
    check_logs(lines, log)
    apart = changes_apart(ours, theirs, begun)
    assert max(apart.values()) <= 0.03, apart
    # They learn: the loss falls by a thousand times what it may differ, and the layer of the highest rate, 24 in the
    # paper's nets and 2 in the medium ones, changes altogether or by that share of it.
    assert theirs["loss"][0].sum() - theirs["loss"][-1].sum() > 0.1
    changed = max(np.linalg.norm(theirs[key] - array) / np.linalg.norm(array) for key, array in begun.items())
    assert changed > rate / 24
    shutil.rmtree(tmp_path)  # of some hundred megabytes


def momentum_outside(w, g, history, s):
    """Update as torch.optim.SGD does."""
    torch._foreach_add_(g, w, alpha=s.decay)
    torch._foreach_mul_(history[0], s.param.momentum)
    torch._foreach_add_(history[0], g)
    torch._foreach_sub_(w, history[0], alpha=s.rate)


def test_what_shows_a_wrong_update(caffe, tmp_path, monkeypatch):
    case, begun = real_case("vgg_m_2048_small", tmp_path)
    theirs, _ = by_caffe(caffe, tmp_path / "caffe", {"it": case})["it"]
    with monkeypatch.context() as patch:
        patch.setitem(RULES, "SGD", replace(RULES["SGD"], update=momentum_outside))
        outside, _ = by_torch(tmp_path / "outside", case)
    monkeypatch.setattr(Learnable, "lr_mult", 1.0)
    alike, _ = by_torch(tmp_path / "alike", case)
    for wrong in (outside, alike):
        with pytest.raises(AssertionError):
            check(wrong, theirs)
        assert np.abs(wrong["loss"] - theirs["loss"]).max() > 1e-2
        assert min(changes_apart(wrong, theirs, begun).values()) > 0.03


def test_the_logs_tell_of_all_that_is_compared(from_caffe):
    _, log = from_caffe[1]["solve"]
    recorded = logged(log)
    assert {kind: len(values) for kind, values in recorded.items()} == {
        "lr": 20,
        "loss": 21,
        "train": 20,
        "test": 12,  # two outputs, at 0, 4, ... 20
        "test loss": 6,
        "testing": 6,
    }
    assert len({value for _, value in recorded["lr"]}) == 4


ENGINES = ("caffe", "torch")
FILES = ("s_iter_7.caffemodel", "s_iter_7.solverstate")
RESTORED = {
    **{name: Case(settings + STEP) for name, settings in TYPES.items()},
    "multistep": Case(SGD + POLICIES["multistep"]),
    "normed": Case(SGD + STEP, net=NORMED, learned=NORMED_LEARNS),
}


@pytest.fixture(scope="module")
def snapshots(caffe, tmp_path_factory):
    """The folder with each engine's snapshots, after 7 iterations, of each solver."""
    folder = tmp_path_factory.mktemp("snapshots")
    cases = {name: replace(case, solver=case.solver + " snapshot: 7", iterations=7) for name, case in RESTORED.items()}
    by_caffe(caffe, folder / "caffe", cases)
    for name, case in cases.items():
        by_torch(folder / "torch" / name, case)
    return folder


@pytest.fixture(scope="module")
def gone_on_in_caffe(caffe, snapshots, tmp_path_factory):
    """Cases with another start and other batches, so that all must come from the snapshot, and what Caffe made."""
    cases = {}
    for name, case in RESTORED.items():
        for engine in ENGINES:
            files = {file: snapshots / engine / name / file for file in FILES}
            cases[f"{name} from {engine}"] = replace(case, seed=1, iterations=5, restore=FILES[1], files=files)
    return cases, by_caffe(caffe, tmp_path_factory.mktemp("on"), cases)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RESTORED)
def test_either_engine_resumes_from_the_others_snapshot(gone_on_in_caffe, tmp_path, name, engine):
    cases, recorded = gone_on_in_caffe
    ours, lines = by_torch(tmp_path / "torch", cases[f"{name} from {engine}"])
    theirs, log = recorded[f"{name} from {engine}"]
    assert ours["iteration"] == 12
    check(ours, theirs)
    check_logs(lines, log)
    check(ours, recorded[f"{name} from {ENGINES[engine == 'caffe']}"][0])


def state_of(path):
    message = read_binary(path, SolverState)
    return message, [array_of(blob) for blob in message.history]


@pytest.mark.parametrize("name", RESTORED)
def test_solverstates_are_the_same_message(snapshots, name):
    (ours, our_history), (theirs, their_history) = (
        state_of(snapshots / engine / name / FILES[1]) for engine in ("torch", "caffe")
    )
    assert [blob.shape.dim for blob in ours.history] == [blob.shape.dim for blob in theirs.history]
    for mine, caffes in zip(our_history, their_history, strict=True):
        assert np.linalg.norm(mine - caffes) <= 1e-4 * np.linalg.norm(caffes)
    for message in (ours, theirs):
        message.ClearField("history")
    assert ours == theirs
    assert ours.learned_net == FILES[0]


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        ("", "solver_iter_2"),
        ('snapshot_prefix: "s"', "s_iter_2"),
        ('snapshot_prefix: "in"', "in/solver_iter_2"),
        ('snapshot_prefix: "in/s" snapshot: 2', "in/s_iter_2"),
        ('snapshot_prefix: "s" snapshot_after_train: false', None),
    ],
)
def test_snapshots_are_named_as_caffe_names_them(caffe, tmp_path, settings, made):
    solver = f'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 {settings}'
    case = Case(solver, solve=True, files={"in/kept": WORKER})
    by_caffe(caffe, tmp_path / "caffe", {"it": case})
    by_torch(tmp_path / "torch", case)
    for place in (tmp_path / "caffe/it", tmp_path / "torch"):
        found = {str(path.relative_to(place)) for path in place.rglob("*_iter_*")}
        assert found == ({f"{made}.caffemodel", f"{made}.solverstate"} if made else set())
