"""Whole nets: shared names, gradients, and state between passes; hand values and the real Caffe."""

from weakref import ref

import numpy as np
import pytest
import torch

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.tuning import Tuning
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, parse_text

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 } } }\n'
LOSS = """layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 3 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "%s" bottom: "t" top: "loss" }"""


def inner_product(name, bottom, more="", outputs=4, bias="true"):
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {more} '
        f'inner_product_param {{ num_output: {outputs} bias_term: {bias} weight_filler {{ type: "xavier" }} }} }}\n'
    )


def net_of(text, phase="TRAIN", **settings):
    return Net(graph_of(parse_text(text, NetParameter, "it"), State(phase)), **settings)


NETS = {
    "in place": INPUT
    + inner_product("a", "x")
    # Layers whose gradient Caffe computes rightly from what the later one has left.
    + 'layer { name: "r" type: "ReLU" bottom: "a" top: "a" relu_param { negative_slope: 0.5 } }\n'
    + 'layer { name: "s" type: "ReLU" bottom: "a" top: "a" relu_param { negative_slope: 0.25 } }\n'
    + inner_product("b", "a")
    + LOSS % "b",
    "a blob of several readers": INPUT
    + inner_product("a", "x")
    + inner_product("b", "a")
    + 'layer { name: "m" type: "Eltwise" bottom: "a" bottom: "b" top: "m" eltwise_param { operation: PROD } }\n'
    + 'layer { name: "c" type: "Concat" bottom: "m" bottom: "a" top: "c" }\n'
    + LOSS % "c",
    "shared": INPUT
    + inner_product("a", "x", 'param { name: "w" } param { name: "v" lr_mult: 2 }')
    + inner_product("b", "a", 'param { name: "w" lr_mult: 3 } param { name: "v" }')
    + LOSS % "b",
    "two losses": INPUT
    + inner_product("a", "x")
    + 'layer { name: "n" type: "TanH" bottom: "a" top: "n" loss_weight: 0.5 }\n'
    + inner_product("b", "a")
    + LOSS % "b",
    "a layer that does not learn": INPUT
    + inner_product("a", "x", "param { lr_mult: 0 } param { lr_mult: 0 }")
    + inner_product("b", "a")
    + LOSS % "b",
    "an end of the way down": INPUT
    + inner_product("a", "x")
    + inner_product("b", "a", "propagate_down: false")
    + 'layer { name: "m" type: "Eltwise" bottom: "a" bottom: "b" top: "m" propagate_down: true propagate_down: true }\n'
    + LOSS % "m",
    "forced": "force_backward: true\n" + INPUT + inner_product("a", "x", "param { lr_mult: 0 }") + LOSS % "a",
    "an output that is no loss": INPUT + inner_product("a", "x") + inner_product("b", "x") + LOSS % "a",
}


@pytest.fixture(scope="module")
def cases(make_case):
    rng = np.random.default_rng(5)
    cases = {}
    for name, text in NETS.items():
        given = {"blob:x": rng.standard_normal((3, 4)).astype(np.float32), "blob:t": np.float32([0, 3, 1])}
        for layer, blobs in net_of(text).params.items():
            for k, blob in enumerate(blobs):
                given[f"param:{layer}:{k}"] = rng.standard_normal(blob.shape).astype(np.float32)
        cases[name] = make_case(text, given)
    return cases


@pytest.fixture(scope="module")
def by_caffe(cases, in_caffe):
    return in_caffe(cases)


@pytest.mark.caffe
@pytest.mark.parametrize("name", NETS)
def test_every_blob_and_gradient_is_caffes(cases, by_caffe, in_torch, relative_error, name, device):
    ours, theirs = in_torch(cases[name], device), by_caffe[name]
    assert {key for key in ours if "blob:" in key} == {key for key in theirs if "blob:" in key and "_split_" not in key}
    errors = {key: relative_error(ours[key], theirs[key]) for key in ours if key != "diff:loss"}
    assert max(errors.values()) <= 1e-5, errors
    # What we have no gradient of has none in Caffe.
    for key in theirs.keys() - ours.keys():
        if "_split_" not in key:
            assert not theirs[key].any(), key


def test_shared_blobs_have_the_multipliers_that_any_layer_sets():
    net = net_of(NETS["shared"])
    assert net.params["a"][0] is net.params["b"][0]
    assert [(one.spec.name, one.lr_mult, one.decay_mult) for one in net.learnable] == [("w", 3, 1), ("v", 2, 1)]
    with pytest.raises(EmotiwError, match="param 'w' has another lr_mult than blob 0 of layer 'a'"):
        net_of(NETS["shared"].replace('"w" }', '"w" lr_mult: 2 }'))
    with pytest.raises(EmotiwError, match=r"layer 'b' .*: param 'w' is \(4, 3\) here, \(3, 4\) in blob 0 of layer 'a'"):
        net_of(
            INPUT + inner_product("a", "x", 'param { name: "w" }', 3) + inner_product("b", "a", 'param { name: "w" }')
        )


def test_a_blob_of_equal_size_is_shared_in_permissive_mode():
    more = 'param { name: "w" share_mode: PERMISSIVE }'
    net = net_of(INPUT + inner_product("a", "x", more, 2, "false") + inner_product("b", "a", more, 4, "false"))
    weight = torch.arange(8.0).view(2, 4)
    with torch.no_grad():
        net.learnable[0].blob.copy_(weight)
    x = torch.ones(3, 4)
    net({"x": x})
    assert torch.equal(net.blobs["b"], x @ weight.T @ weight.view(4, 2).T)


def test_inputs_outputs_and_shapes():
    net = net_of(NETS["an output that is no loss"])
    assert (net.inputs, net.outputs) == (["x", "t"], ["b", "loss"])
    assert net.shapes == {"x": (3, 4), "a": (3, 4), "b": (3, 4), "t": (3,), "loss": ()}
    net({"x": torch.zeros(5, 4), "t": torch.zeros(5)})
    assert net.shapes["b"] == (5, 4)
    assert net_of(NETS["in place"]).outputs == ["loss"]
    assert net_of(INPUT + 'layer { name: "s" type: "Silence" bottom: "x" }').outputs == []
    with pytest.raises(EmotiwError, match=r"^net '' has no input 'y': it has x, t$"):
        net({"y": torch.zeros(1)})
    with pytest.raises(EmotiwError, match=r"^the net: layer 'a' \(InnerProduct\): it has weights for 4 inputs, not 5$"):
        net({"x": torch.zeros(3, 5)})


def test_a_seed_gives_the_same_weights_again():
    first, again, other = (net_of(NETS["shared"], seed=seed).params["a"][0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_dummy_data_keeps_constant_blobs_and_redraws_the_others():
    net = net_of(
        'layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param { '
        'shape { dim: 50 } shape { dim: 2 dim: 3 } data_filler { type: "gaussian" } data_filler { value: 2 } } }'
    )
    net()
    before = net.blobs["x"].clone()
    assert torch.equal(net.blobs["y"], torch.full((2, 3), 2.0))
    net.blobs["y"].fill_(7)
    net()
    assert torch.equal(net.blobs["y"], torch.full((2, 3), 7.0))
    assert not torch.equal(net.blobs["x"], before)
    old = 'layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param { %s } }'
    old %= "num: 5 channels: 2 height: 3 width: 4"
    assert net_of(old).shapes == {"x": (5, 2, 3, 4), "y": (5, 2, 3, 4)}


def test_dropout_scales_what_it_keeps():
    text = 'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { %s } }'
    text %= "shape { dim: 40000 } data_filler { value: 1 }"
    text += 'layer { name: "drop" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0.2 } }'
    net = net_of("force_backward: true " + text)
    net.keep_diffs = True
    torch.manual_seed(1)
    net()
    top = net.blobs["y"]
    top.sum().backward()
    assert set(top.tolist()) == {0, 1.25}
    assert float(top.detach().mean()) == pytest.approx(1, abs=0.01)
    assert torch.equal(net.diffs["x"], top.detach())
    torch.manual_seed(1)
    net()
    assert torch.equal(net.blobs["y"], top)
    net = net_of(text, "TEST")
    net()
    assert torch.equal(net.blobs["y"], torch.ones(40000))


class Counting:
    """A source whose batches are 1, 2, 3 ..."""

    shapes = [(2, 3, 4, 4), (2,)]  # noqa: RUF012

    def __init__(self):
        self.count = 0

    def next(self):
        self.count += 1
        return [torch.full(shape, float(self.count)) for shape in self.shapes]


@pytest.mark.parametrize("kind", ["Data", "MemoryData"])
def test_a_source_feeds_a_data_layer(kind):
    text = f'layer {{ name: "d" type: "{kind}" top: "data" top: "label" }}\n'
    opened = []
    net = net_of(text, open_source=lambda layer: opened.append((layer.name, layer.phase)) or Counting())
    assert (opened, net.shapes, net.inputs) == ([("d", 0)], {"data": (2, 3, 4, 4), "label": (2,)}, [])
    for count in (1, 2):
        net()
        assert torch.equal(net.blobs["label"], torch.full((2,), float(count)))
    with pytest.raises(EmotiwError, match=r"layer 'd' .*: its source gives 2 blobs for 3 tops"):
        net_of(text.replace('top: "label"', 'top: "label" top: "more"'), open_source=lambda layer: Counting())


def test_the_layout_in_memory_changes_no_value():
    text = INPUT.replace("dim: 3 dim: 4", "dim: 2 dim: 3 dim: 6 dim: 5")
    text += (
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 2 '
    )
    text += 'weight_filler { type: "xavier" } } }\nlayer { name: "n" type: "LRN" bottom: "c" top: "n" }\n'
    text += 'layer { name: "p" type: "Pooling" bottom: "n" top: "p" pooling_param { kernel_size: 2 stride: 2 } }\n'
    text += inner_product("f", "p") + 'layer { name: "l" type: "TanH" bottom: "f" top: "l" loss_weight: 1 }'
    nets = [net_of(text, seed=3, tuning=Tuning(channels_last=last)) for last in (True, False)]
    x = torch.randn(2, 3, 6, 5)
    for net in nets:
        net({"x": x}).backward()
    first, second = nets
    assert first.blobs["c"].is_contiguous(memory_format=torch.channels_last)
    assert second.blobs["c"].is_contiguous()
    for name, blob in first.blobs.items():
        assert torch.allclose(blob, second.blobs[name], rtol=1e-5, atol=1e-6), name
    for one, other in zip(first.learnable, second.learnable, strict=True):
        assert torch.allclose(one.blob.grad, other.blob.grad, rtol=1e-5, atol=1e-6)


# A stage of the authors' nets.
STAGE = (
    INPUT.replace("dim: 3 dim: 4", "dim: 2 dim: 3 dim: 6 dim: 5")
    + 'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 2 '
    + 'weight_filler { type: "xavier" } } }\nlayer { name: "r" type: "ReLU" bottom: "c" top: "c" }\n'
    + 'layer { name: "n" type: "LRN" bottom: "c" top: "n" }\n'
    + 'layer { name: "p" type: "Pooling" bottom: "n" top: "p" pooling_param { kernel_size: 2 stride: 2 } }\n'
    + inner_product("f", "p")
    + 'layer { name: "l" type: "TanH" bottom: "f" top: "l" loss_weight: 1 }'
)


def test_the_backward_pass_keeps_each_blob_once():
    """ReLU's result serves LRN, too; of MAX pooling the places are kept, not the image."""
    net, saved = net_of(STAGE, seed=3), {}

    def note(tensor):
        saved[tensor.data_ptr()] = tuple(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = net({"x": torch.randn(2, 3, 6, 5)})
    learned = {one.blob.data_ptr() for one in net.learnable}
    blobs = {"x": (2, 3, 6, 5), "c": (2, 4, 5, 4), "places": (2, 4, 3, 2), "p": (2, 24), "l": (2, 4)}
    assert sorted(shape for place, shape in saved.items() if place not in learned) == sorted(blobs.values())
    loss.backward()


def test_a_blob_that_nobody_takes_any_more_is_freed():
    """And nothing but `blobs` is another: neither the loss nor a gradient."""
    x, nets = torch.randn(2, 3, 6, 5), [net_of(STAGE, seed=3) for _ in range(3)]
    nets[1].kept, nets[2].kept = (), {"n", "x"}
    alive = []
    for net in nets:
        convolved = []
        net.layers[2].register_forward_pre_hook(lambda layer, bottoms, kept=convolved: kept.append(ref(bottoms[0])))
        losses = [net({"x": x}) for _ in range(2)]
        alive.append(convolved[1]() is not None)
        losses[1].backward()
        assert torch.equal(losses[0], losses[1])
    assert alive == [False] * 3  # what ReLU has replaced
    assert [set(net.blobs) for net in nets] == [{"x", "c", "n", "p", "f", "l"}, {"l"}, {"n", "x", "l"}]
    for net in nets[1:]:
        for one, other in zip(net.learnable, nets[0].learnable, strict=True):
            assert torch.equal(one.blob.grad, other.blob.grad)


def test_inputs_can_be_written_to_in_place_between_passes():
    net = net_of(INPUT.replace("dim: 3 dim: 4", "dim: 2 dim: 3 dim: 6 dim: 5") + inner_product("a", "x", bias="false"))
    net({"x": torch.zeros(2, 3, 6, 5)})
    net.blobs["x"].fill_(2)
    net()
    assert torch.equal(net.blobs["x"], torch.full((2, 3, 6, 5), 2.0))
    assert torch.allclose(net.blobs["a"][0], 2 * net.params["a"][0].sum(dim=1))
