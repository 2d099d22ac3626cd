"""The benchmarks of the engines time the same net."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.prototxt.surgery import committed
from emotiw.prototxt.zoo.nets import NETS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("name", ["vgg_s_small", "vgg_m_2048_small"])
def test_the_net_by_hand_is_the_prototxts(load, name):
    by_hand = load("gpu").by_hand(NETS[name]).eval()
    net = Net(graph_of(committed(name, "deploy.prototxt"), State("TEST")), seed=0)
    images = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        by_hand(images)  # sets the shapes
        for ours, one in zip(by_hand.parameters(), net.learnable, strict=True):
            one.blob.normal_(0, 0.1, generator=torch.Generator().manual_seed(one.blob.numel()))
            ours.copy_(one.blob)
        net({"data": images})
        scores = by_hand(images)
    bottom = next(layer.param.bottom[0] for layer in net.layers if layer.param.type == "Softmax")
    spread = scores.std()  # some hundred; a score near zero shows the order of a sum, which threads decide
    assert spread > 0.1
    torch.testing.assert_close(scores / spread, net.blobs[bottom] / spread, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NETS if name.endswith("_small")])
def test_a_small_net_is_timed_with_its_own_batch(load, tmp_path, name):
    engines = load("engines")
    assert engines.write_run(tmp_path, name, None, 1) == engines.batch_of(name)


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *arguments]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # in the users' setting
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_engines_are_compared_then_timed_in_turns_on_two_cores(load, monkeypatch, tmp_path):
    engines, done = load("engines"), []
    monkeypatch.setattr(engines, "open_engine", lambda settings: settings.engine)
    monkeypatch.setattr(engines, "write_run", lambda *args: None)
    monkeypatch.setattr(engines, "compare", lambda folder, name, *both: done.append(("compare", *both)))

    def seconds(engine, folder):
        assert len(os.sched_getaffinity(0)) <= 2
        assert os.environ["OMP_NUM_THREADS"] == "2"
        done.append(engine)
        return float(len(done))

    monkeypatch.setattr(engines, "seconds", seconds)
    turns = engines.ROWS["train-vgg_s"].measure(tmp_path)
    assert done[0] == ("compare", "torch", "caffe")
    assert done[1:] == 3 * ["caffe", "torch", "torch", "caffe"]
    assert len(turns.ours) == len(turns.theirs) == 5  # the first of each is dropped
    assert turns.theirs[0] > turns.ours[0]


def test_the_seconds_of_an_iteration_are_those_of_the_log(load, tmp_path):
    """The engines' logs have the times; polling would not, because an iteration may be shorter than the pause."""
    lines = [
        "I1128 23:59:50.000000  7 solver.cpp:239] Iteration 0 (-nan iter/s, 0s/1 iters), loss = 2",
        "I1128 23:59:55.500000  7 solver.cpp:239] Iteration 1 (1 iter/s, 1s/1 iters), loss = 2",
        "I1128 23:59:59.250000  7 solver.cpp:239] Iteration 2 (1 iter/s, 1s/1 iters), loss = 2",
        "I1128 23:59:59.300000  7 solver.cpp:258]     Train net output #0: loss = 2 (* 1 = 2 loss)",
        "I1128 23:59:59.750 7 solver] Iteration 3, loss = 2",
        "I1129 00:00:00.000000  7 solver.cpp:239] Iteration 4 (1 iter/s, 1s/1 iters), loss = 2",
        "I1129 00:00:00.250000  7 solver.cpp:239] Iteration 5 (1 iter/s, 1s/1 iters), loss = 2",
        "I1129 00:00:09.000000  7 solver.cpp:295] Iteration 6, loss = 2",
    ]

    class Engine:
        def train(self, solver, on_progress):
            (solver.parent / "log.txt").write_text("\n".join(lines))

    assert load("engines").seconds(Engine(), tmp_path) == pytest.approx(1 / 3)


def test_losses_that_differ_or_do_not_change_are_refused(load):
    same = load("engines").same_losses
    same([2.0, 1.9], [2.0, 1.9001])
    for ours in ([2.0, 1.9], [2.0], [2.0, float("nan")]):
        with pytest.raises(SystemExit, match="different losses"):
            same(ours, [2.0, 1.91])
    with pytest.raises(SystemExit, match="hardly change"):
        same([2.0, 1.999], [2.0, 1.999])


class Faulty:
    """The real Caffe, with another momentum."""

    def __init__(self, engine):
        self.engine = engine

    def train(self, solver, on_progress, weights):
        right = solver.read_text()
        assert "momentum: 0.9" in right
        solver.write_text(right.replace("momentum: 0.9", "momentum: 0.8"))
        self.engine.train(solver, on_progress, weights)
        solver.write_text(right)


@pytest.mark.caffe
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "vgg_s_small" else pytest.mark.slow) for name in NETS]
)
def test_engines_give_equal_losses_and_a_wrong_momentum_is_seen(load, engine, tmp_path, name):
    engines = load("engines")
    torch_engine = engines.open_engine(engines.EngineSettings("torch", gpu="none"))
    engines.compare(tmp_path / "right", name, torch_engine, engine)
    if name.endswith("_small"):
        with pytest.raises(SystemExit, match="different losses"):
            engines.compare(tmp_path / "wrong", name, torch_engine, Faulty(engine))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_engine_comes_to_the_losses_of_the_net_by_hand(load, tmp_path, precision):
    load("gpu").compare(tmp_path, "vgg_s_small", 8, torch.device("cpu"), precision)


def without_a_relu(by_hand):
    def wrong(net, dropout):
        layers = list(by_hand(net, dropout))
        place = next(k for k, layer in enumerate(layers) if isinstance(layer, torch.nn.ReLU))
        return torch.nn.Sequential(*layers[:place], *layers[place + 1 :])

    return wrong


def with_another_rate(steps_by_hand):
    def wrong(*args, groups):
        return steps_by_hand(*args, groups=[{**group, "lr": 1.1 * group["lr"]} for group in groups])

    return wrong


@pytest.mark.parametrize(("what", "fault"), [("by_hand", without_a_relu), ("steps_by_hand", with_another_rate)])
def test_a_fault_of_the_net_by_hand_is_seen(load, monkeypatch, tmp_path, what, fault):
    gpu = load("gpu")
    monkeypatch.setattr(gpu, what, fault(getattr(gpu, what)))
    with pytest.raises(SystemExit, match="different losses"):
        gpu.compare(tmp_path, "vgg_s_small", 8, torch.device("cpu"), "float32")


@pytest.mark.parametrize("name", ["vgg_s_small", "vgg_m_2048_small"])
def test_operations_are_as_many_as_torch_counts(load, name):
    net, images = load("gpu").by_hand(NETS[name]), torch.zeros(2, 3, 56, 56)
    net(images)  # sets the shapes
    with FlopCounterMode(display=False) as counted:
        net(images).sum().backward()
    assert load("peaks").flops(name) == counted.get_total_flops() / 2


def test_a_share_of_a_peak_by_hand(load):
    peaks = load("peaks")
    assert peaks.share("vgg_s", peaks.flops("vgg_s") / 33.5e12, "NVIDIA H200", "float32") == (
        "33.5 TFLOPS, 50% of the card's peak of 67"
    )
    assert peaks.share("vgg_s", 1, "NVIDIA B200", "bf16") == "the peak of NVIDIA B200 is not known here"


@pytest.mark.slow
@pytest.mark.caffe
def test_both_engines_are_timed(load, monkeypatch, tmp_path):
    engines = load("engines")
    monkeypatch.setattr(engines, "in_turns", partial(engines.in_turns, turns=2))
    turns = engines.ROWS["train-vgg_s_small"].measure(tmp_path)
    assert min(len(turns.ours), *turns.ours, *turns.theirs) > 0


@pytest.mark.slow
def test_bf16_is_timed_beside_float32(load, monkeypatch, tmp_path):
    engines = load("engines")
    monkeypatch.setattr(engines, "in_turns", partial(engines.in_turns, turns=1))
    turns = engines.measure_bf16(tmp_path, "vgg_s_small")
    assert min(*turns.ours, *turns.theirs) > 0
    monkeypatch.setattr(engines, "MOST_APART_BF16", 1e-7)
    with pytest.raises(SystemExit, match="different losses"):
        engines.measure_bf16(tmp_path, "vgg_s_small")


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        ("fpu avx512_bf16 amx_bf16 amx_tile", "amx_bf16 and avx512_bf16"),
        ("fpu avx512_bf16", "avx512_bf16"),
        ("fpu avx512f", "no instructions for bf16"),
    ],
)
def test_the_processors_instructions_for_bf16(load, flags, units):
    cpuinfo = f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: amx_bf16\n"
    assert load("engines").bf16_units(2 * cpuinfo) == units


@pytest.mark.slow
def test_the_gpus_script_runs_on_a_cpu():
    arguments = ("--device", "cpu", "--net", "vgg_s_small", "--batch", "2", "--turns", "1", "--iterations", "6")
    printed = run("gpu.py", *arguments)
    assert printed[0] == "vgg_s_small, batch 2, float32, on CPU, images a second:"
    assert all(float(line.split()[0]) > 0 for line in printed[1:4])
    assert printed[4].startswith("the engine's share of the rate by hand: ")
    lines = run("gpu.py", *arguments, "--tunings")
    for line, tuning in zip(lines, ("compiled_lrn", "cudnn_benchmark", "channels_last", "all"), strict=True):
        assert re.match(rf"vgg_s_small, batch 2, float32, on CPU, {tuning}: [\d.e-]+ times the untuned rate, ", line)
