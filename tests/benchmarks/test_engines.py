"""The benchmarks of the engines: what they time is the same net."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.prototxt.execution import committed
from emotiw.prototxt.nets import NETS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("name", ["vgg_s_small", "vgg_m_2048_small"])
def test_the_net_by_hand_is_the_prototxts(load, name):
    by_hand = load("gpu").by_hand(NETS[name]).eval()
    net = Net(graph_of(committed(name, "deploy.prototxt"), State("TEST")), seed=0)
    images = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        by_hand(images)  # so it learns its shapes
        for ours, one in zip(by_hand.parameters(), net.learnable, strict=True):
            one.blob.normal_(0, 0.1, generator=torch.Generator().manual_seed(one.blob.numel()))
            ours.copy_(one.blob)
        net({"data": images})
        scores = by_hand(images)
    bottom = next(layer.param.bottom[0] for layer in net.layers if layer.param.type == "Softmax")
    spread = scores.std()  # some hundred: the order of a sum, which threads decide, shows in a score near zero
    assert spread > 0.1
    torch.testing.assert_close(scores / spread, net.blobs[bottom] / spread, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NETS if name.endswith("_small")])
def test_a_small_net_is_timed_with_its_own_batch(load, tmp_path, name):
    engines = load("engines")
    assert engines.write_run(tmp_path, name, None, 1) == engines.batch_of(name)


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *arguments]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # as users have it
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.caffe
def test_both_engines_take_turns(load, monkeypatch, tmp_path):
    engines = load("engines")
    monkeypatch.setattr(engines, "TURNS", 2)
    turns = engines.ROWS["train-vgg_s_small"].measure(tmp_path)
    assert min(len(turns.ours), *turns.ours, *turns.theirs) > 0


@pytest.mark.slow
def test_the_gpus_script_runs_on_a_cpu():
    arguments = ("--device", "cpu", "--net", "vgg_s_small", "--batch", "2", "--turns", "1", "--iterations", "6")
    printed = run("gpu.py", *arguments)
    assert printed[0] == "vgg_s_small, batch 2, float32, on CPU, images a second:"
    assert all(int(line.split()[0]) > 0 for line in printed[1:4])
    assert printed[4].startswith("the engine's share of the rate by hand: ")
