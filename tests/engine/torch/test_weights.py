"""Caffemodels: written by either engine and read by the other, of V1 layers or of current ones."""

import numpy as np
import pytest
import torch

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.weights import copy_from, to_proto, write_weights
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import blob_of, read_weights
from emotiw.prototxt.formats.messages import NetParameter, format_text, parse_text, read_binary, write_binary
from emotiw.prototxt.surgery import committed, deploy, rename_layers, use_classes
from emotiw.prototxt.weight_transfer import compare

NET = """name: "two"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 2 } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "fc" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 3 } }
"""


def net_of(net, phase="TEST", seed=0):
    net = parse_text(net, NetParameter, "it") if isinstance(net, str) else net
    return Net(graph_of(net, State(phase)), seed=seed)


def randomized(net):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for one in net.learnable:
            one.blob.normal_(generator=generator)
    return net


def copied(net, path):
    """Copy weights; return the report on each layer."""
    params = {layer.param.name: layer.shapes for layer in net.layers if layer.shapes}
    found = compare(read_binary(path, NetParameter), params)
    copy_from(net, path)
    return found


def arrays(net):
    return {name: [blob.detach().numpy() for blob in blobs] for name, blobs in net.params.items()}


def same(first, second):
    assert first.keys() == second.keys()
    return all(np.array_equal(a, b) for name in first for a, b in zip(first[name], second[name], strict=True))


def test_what_is_written_is_read_again(tmp_path):
    net, other = randomized(net_of(NET)), net_of(NET)
    write_weights(tmp_path / "w.caffemodel", net)
    copy = copied(other, tmp_path / "w.caffemodel")
    assert (copy.copied, copy.new, copy.left) == (("conv", "fc"), (), ())
    assert same(arrays(net), arrays(other))
    assert same(read_weights(tmp_path / "w.caffemodel"), arrays(net))
    written = read_binary(tmp_path / "w.caffemodel", NetParameter)
    assert (written.name, [layer.type for layer in written.layer]) == (
        "two",
        ["Input", "Convolution", "ReLU", "InnerProduct"],
    )
    assert {layer.phase for layer in written.layer} == {1}


def test_a_layer_of_another_shape_stops_it_and_changes_nothing(tmp_path):
    write_weights(tmp_path / "w.caffemodel", randomized(net_of(NET)))
    net = net_of(NET.replace("num_output: 3", "num_output: 7"))
    before = {name: [blob.copy() for blob in blobs] for name, blobs in arrays(net).items()}
    words = r"w.caffemodel: layer 'fc' does not fit: 3x64 \+ 3 in the weights, 7x64 \+ 7 in the net; rename the layer"
    with pytest.raises(EmotiwError, match=words):
        copy_from(net, tmp_path / "w.caffemodel")
    assert same(before, arrays(net))


def test_missing_and_additional_layers_are_passed_over(tmp_path):
    source = randomized(net_of(NET))
    write_weights(tmp_path / "w.caffemodel", source)
    net = net_of(NET.replace('"fc"', '"fc_new"'), seed=1)
    before = net.params["fc_new"][0].detach().clone()
    copy = copied(net, tmp_path / "w.caffemodel")
    assert (copy.copied, copy.new, copy.left) == (("conv",), ("fc_new",), ("fc",))
    assert torch.equal(net.params["fc_new"][0], before)
    assert torch.equal(net.params["conv"][0], source.params["conv"][0])


@pytest.fixture
def v1(tmp_path):
    """A file of 2014, as the authors' are: V1 layers, four old fields; a fully connected layer is 1 x 1 x N x K."""
    rng = np.random.default_rng(0)
    net = NetParameter()
    for name, kind, shapes in (
        ("conv", "CONVOLUTION", ((4, 3, 2, 2), (1, 1, 1, 4))),
        ("fc", "INNER_PRODUCT", ((1, 1, 3, 64), (1, 1, 1, 3))),
    ):
        layer = parse_text(f'layers {{ name: "{name}" type: {kind} }}', NetParameter, name).layers[0]
        for shape in shapes:
            blob = blob_of(rng.standard_normal(shape).astype(np.float32))
            blob.ClearField("shape")
            blob.num, blob.channels, blob.height, blob.width = shape
            layer.blobs.append(blob)
        net.layers.append(layer)
    write_binary(tmp_path / "v1.caffemodel", net)
    return tmp_path / "v1.caffemodel"


def test_v1_in_and_todays_out(v1):
    net, values = net_of(NET), read_weights(v1)
    copy_from(net, v1)
    for name, blobs in net.params.items():
        for blob, array in zip(blobs, values[name], strict=True):
            assert np.array_equal(blob.detach().numpy(), array.reshape(blob.shape))
    written = to_proto(net)
    assert [len(layer.blobs) for layer in written.layer] == [0, 2, 0, 2]
    assert [list(blob.shape.dim) for blob in written.layer[3].blobs] == [[3, 64], [3]]


@pytest.mark.caffe
def test_v1_is_read_as_caffe_reads_it(v1, make_case, in_caffe):
    net = net_of(NET)
    copy_from(net, v1)
    reported = in_caffe({"it": make_case(NET, phase="TEST", backward=False, weights=str(v1))})["it"]
    for layer, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            assert np.array_equal(reported[f"param:{layer}:{k}"], blob.detach().numpy())


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"\xff\xff", "is not a complete NetParameter")]
)
def test_a_file_that_is_not_a_caffemodel(tmp_path, content, words):
    if content:
        (tmp_path / "w.caffemodel").write_bytes(content)
    with pytest.raises(EmotiwError, match=words):
        copy_from(net_of(NET), tmp_path / "w.caffemodel")


@pytest.mark.caffe
def test_either_engine_reads_what_the_other_wrote(make_case, in_caffe, tmp_path):
    """vgg_s_small: Caffe's fillers to torch, torch's to Caffe; and the renamed layer keeps its own."""
    train_val = committed("vgg_s_small", "train_val_finetune.prototxt")
    text = format_text(deploy(train_val))
    net = randomized(net_of(text))
    write_weights(tmp_path / "torch.caffemodel", net)
    theirs, ours = str(tmp_path / "caffe.caffemodel"), str(tmp_path / "torch.caffemodel")
    zero = np.zeros(net.shapes["data"], np.float32)
    case = make_case(text, {"blob:data": zero}, "TEST", backward=False, weights=ours, save=theirs)
    reported = in_caffe({"it": case})["it"]
    for layer, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            assert np.array_equal(reported[f"param:{layer}:{k}"], blob.detach().numpy())
    again = net_of(text)
    assert copied(again, tmp_path / "caffe.caffemodel").new == ()
    assert same(arrays(again), arrays(net))
    use_classes(train_val, 40)
    rename_layers(train_val, {"fc8_cat"})
    pretrained = net_of(deploy(train_val))
    assert copied(pretrained, tmp_path / "caffe.caffemodel").new == ("fc8_cat_new",)
