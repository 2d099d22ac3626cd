"""What a `Tuning` changes: the way of computing, not the values."""

import pytest
import torch

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.layers import lrn
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.tuning import UNTUNED, Tuning
from emotiw.prototxt.formats.messages import NetParameter, parse_text

# PyTorch's own compiler uses a deprecated decorator when it is imported.
COMPILES = pytest.mark.filterwarnings("ignore:`torch.jit.script_method:DeprecationWarning")
EACH = [Tuning(channels_last=True), Tuning(cudnn_benchmark=True), Tuning(compiled_lrn=True), Tuning(True, True, True)]

TEXT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 6 dim: 3 dim: 10 dim: 10 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { alpha: 0.5 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 6 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def loss_and_gradients(tuning, device="cpu", precision="float32"):
    net = Net(
        graph_of(parse_text(TEXT, NetParameter, "it"), State("TRAIN")),
        seed=1,
        device=device,
        precision=precision,
        tuning=tuning,
    )
    images = torch.randn(6, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    loss = net({"data": images, "label": torch.arange(6) % 5})
    net.backward(loss)
    return [loss.detach().cpu(), *(one.blob.grad.cpu() for one in net.learnable)]


def both_passes(normalise, x, dy, settings):
    x = x.detach().requires_grad_()
    y = normalise(x, *settings)
    y.backward(dy)
    return y.detach(), x.grad


def same_lrn(formula, layout, shape, settings):
    generator = torch.Generator().manual_seed(0)
    x, dy = ((50 * torch.randn(shape, generator=generator)).contiguous(memory_format=layout) for _ in range(2))
    expected = both_passes(lrn._AcrossChannels.apply, x, dy, settings)
    found = both_passes(formula, x, dy, settings)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6 * float(theirs.abs().max()))
    assert found[0].is_contiguous(memory_format=layout)


LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
SETTINGS = [
    ((5, 7, 6, 9), (5, 0.0005, 0.75, 2.0)),
    ((2, 7, 6, 9), (3, 0.7, 0.6, 1.0)),
    ((3, 2, 5, 3), (7, 2.0, 0.75, 1.0)),
]


@LAYOUTS
@pytest.mark.parametrize(("shape", "settings"), SETTINGS)
def test_the_formula_that_is_compiled(layout, shape, settings):
    same_lrn(lrn._formula, layout, shape, settings)


@LAYOUTS
@pytest.mark.slow
@COMPILES
def test_the_compiled_formula(layout):
    for shape, settings in SETTINGS:
        same_lrn(lrn._compiled(), layout, shape, settings)


def test_channels_last_and_cudnns_switch_change_no_value():
    reference = loss_and_gradients(UNTUNED)
    for tuning in (Tuning(channels_last=True), Tuning(cudnn_benchmark=True)):
        for ours, theirs in zip(loss_and_gradients(tuning), reference, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@COMPILES
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_all_together_change_no_value(precision):
    tolerance = {"float32": 1e-5, "bf16": 2e-2}[precision]
    reference = loss_and_gradients(UNTUNED, precision=precision)
    for ours, theirs in zip(loss_and_gradients(Tuning(True, True, True), precision=precision), reference, strict=True):
        assert torch.linalg.vector_norm(ours - theirs) <= tolerance * torch.linalg.vector_norm(theirs)


@pytest.mark.gpu
@COMPILES
@pytest.mark.parametrize("tuning", EACH, ids=str)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("tf32", 5e-3), ("bf16", 3e-2)])
def test_on_a_gpu(tuning, precision, tolerance):
    reference = loss_and_gradients(UNTUNED, "cuda", precision)
    for ours, theirs in zip(loss_and_gradients(tuning, "cuda", precision), reference, strict=True):
        assert torch.linalg.vector_norm(ours - theirs) <= tolerance * torch.linalg.vector_norm(theirs)


def test_cudnns_switch_is_restored():
    assert not torch.backends.cudnn.benchmark
    seen = []

    def fail():
        with Tuning(cudnn_benchmark=True).computing():
            seen.append(torch.backends.cudnn.benchmark)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [True]
    assert not torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        with Tuning().computing():
            assert torch.backends.cudnn.benchmark  # a user's own setting stays
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = False
