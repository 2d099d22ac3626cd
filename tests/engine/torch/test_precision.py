"""The precisions of nets, and that torch's switches are restored."""

import re

import numpy as np
import pytest
import torch

from emotiw.engine.torch.engine import TorchEngine
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.precision import BY_NAME
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.weights import write_weights
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, parse_text

BODY = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { alpha: 0.5 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "both" type: "Concat" bottom: "pool" bottom: "pool" top: "both" }
layer { name: "fc" type: "InnerProduct" bottom: "both" top: "fc" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
"""
DEPLOY = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 6 dim: 3 dim: 10 dim: 10 } } }' + BODY
)
LOSS = """
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 6 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "right" type: "Accuracy" bottom: "fc" bottom: "label" top: "right" }
"""
FLOAT32 = {"conv": False, "norm": True, "pool": True, "both": True, "fc": False, "loss": True, "right": True}


def images():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((6, 3, 10, 10)).astype(np.float32))


def net_of(precision, text=DEPLOY + LOSS, device="cpu"):
    net = Net(
        graph_of(parse_text(text, NetParameter, "it"), State("TRAIN")), seed=1, device=device, precision=precision
    )
    net.set_input("data", images())
    if "label" in net.inputs:
        net.set_input("label", torch.arange(6) % 5)
    return net


def gradients(net):
    net.backward(net())
    return [one.blob.grad for one in net.learnable]


def far(ours, theirs):
    """The distance, of the whole's size."""
    return (torch.linalg.vector_norm(ours - theirs) / torch.linalg.vector_norm(theirs)).item()


def test_bf16_is_near_float32_and_only_where_it_multiplies():
    net, reference = net_of("bf16"), net_of("float32")
    for ours, theirs in zip(gradients(net), gradients(reference), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, ours.bfloat16().float())  # autocast rounds the gradients of these layers
        assert 0 < far(ours, theirs) < 0.02
    assert {name: net.blobs[name].dtype == torch.float32 for name in FLOAT32} == FLOAT32
    assert all(one.blob.dtype == torch.float32 for one in net.learnable)
    assert net.blobs["loss"].item() == pytest.approx(reference.blobs["loss"].item(), rel=1e-2)
    assert 0 < far(net.blobs["fc"].float(), reference.blobs["fc"]) < 0.01


def test_maxima_keep_their_places():
    """Indices up to 255 are exact in bf16, too; larger ones are not."""
    pool = 'layer { name: "p" type: "Pooling" bottom: "conv" top: "p" top: "where" pooling_param { kernel_size: 3 } }'
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }'
    net = Net(graph_of(parse_text(data + BODY + pool, NetParameter, "it"), State("TRAIN")), seed=1, precision="bf16")
    net({"data": torch.rand((1, 3, 32, 32))})
    picked = net.blobs["conv"].float().flatten(2).gather(2, net.blobs["where"].long().flatten(2))
    assert torch.equal(picked, net.blobs["p"].float().flatten(2))
    assert net.blobs["where"].max() > 800


def test_float32_is_what_it_was_before_there_were_others():
    net = net_of("float32")
    net()
    conv = torch.nn.functional.conv2d(images(), *net.params["conv"]).relu()
    assert torch.equal(net.blobs["conv"], conv)
    assert torch.equal(net.blobs["fc"], torch.nn.functional.linear(net.blobs["both"].flatten(1), *net.params["fc"]))


SOLVER = 'base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 25 test_iter: 1 test_interval: 25 random_seed: 2 '


def trained(precision, folder):
    (folder / "net.prototxt").write_text(DEPLOY + LOSS)
    param = parse_text(SOLVER + 'net: "net.prototxt" snapshot_prefix: "s"', SolverParameter, "it")
    solver, losses = Solver(param, folder, precision=precision), []
    for net in (solver.net, *solver.test_nets):
        net.set_input("data", images())
        net.set_input("label", torch.arange(6) % 5)
    solver.on_gradients_ready.append(lambda: losses.append(solver.net.blobs["loss"].item()))
    solver.solve()
    return solver, losses


def test_bf16_trains(tmp_path):
    (solver, losses), (_, others) = trained("bf16", tmp_path), trained("float32", tmp_path)
    assert losses[-1] < losses[0] / 4
    assert losses != others
    np.testing.assert_allclose(losses, others, rtol=0, atol=0.1)
    assert solver.test_scores[0]["right"].item() == 1
    assert all(kept.dtype == torch.float32 for kept in solver.update.history)


def test_scores_in_bf16(scores, tmp_path):
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    write_weights(tmp_path / "w.caffemodel", net_of("float32", DEPLOY))
    ours, theirs = (
        scores(
            TorchEngine("none", precision),
            tmp_path / "deploy.prototxt",
            tmp_path / "w.caffemodel",
            images().numpy(),
        )
        for precision in ("bf16", "float32")
    )
    assert ours.dtype == np.float32
    assert 0 < np.abs(ours - theirs).max() < 0.02


def switches():
    return [
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.cudnn.conv.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,
        torch.backends.mkldnn.conv.fp32_precision,
    ]


@pytest.mark.parametrize("name", BY_NAME)
def test_torchs_switches_are_set_and_restored(name):
    before = switches()
    assert before[1] == "tf32"  # torch's default for convolutions
    within = pytest.raises(EmotiwError, match=re.escape(str(["tf32" if name == "tf32" else "ieee"] * 4)))
    with within, BY_NAME[name].computing():
        raise EmotiwError(str(switches()))
    assert switches() == before


def test_passes_of_every_net_are_float32_unless_another_is_named():
    """Forward and backward; by default, torch's own choice of TF32 for convolutions is overridden."""
    seen = []

    class Spy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(switches())
            return x.clone()

        @staticmethod
        def backward(ctx, dx):
            seen.append(switches())
            return dx

    net = net_of("float32")
    forward = net.layers[1].forward
    net.layers[1].forward = lambda *bottoms: [Spy.apply(*forward(*bottoms))]
    net.backward(net())
    assert seen == [["ieee"] * 4] * 2
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [("half", "no precision 'half': there are float32, tf32, bf16"), ("tf32", "a CPU has no precision tf32")],
)
def test_what_is_not_there_is_refused(name, words):
    with pytest.raises(EmotiwError, match=words):
        net_of(name)


def test_a_gpu_that_is_too_old_for_tf32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    for capability, fits in (((8, 0), True), ((7, 5), False)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, given=capability: given)
        BY_NAME["bf16"].check(torch.device("cuda"))
        if fits:
            BY_NAME["tf32"].check(torch.device("cuda"))
        else:
            with pytest.raises(EmotiwError, match="Tesla T4 has no precision tf32"):
                BY_NAME["tf32"].check(torch.device("cuda"))


@pytest.mark.gpu
def test_tf32_on_a_gpu():
    exact = gradients(net_of("float32"))
    for name, least, most in (("float32", 0, 1e-5), ("tf32", 1e-5, 5e-3), ("bf16", 1e-4, 3e-2)):
        ours = gradients(net_of(name, device="cuda"))
        distances = [far(one.cpu(), other) for one, other in zip(ours, exact, strict=True)]
        assert least <= max(distances) < most, name
