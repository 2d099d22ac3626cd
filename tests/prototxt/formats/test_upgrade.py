"""V1 nets, against the upgrade of Caffe's own tools."""

import subprocess

import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import (
    NetParameter,
    V1LayerParameter,
    format_text,
    parse_text,
    read_binary,
    read_text,
    write_binary,
)
from emotiw.prototxt.formats.upgrade import downgrade, read_net, upgrade, weighted
from emotiw.prototxt.surgery import committed

# Every setting that has moved since, in the authors' format: learning multipliers, phases, inputs.
TEXT = """
name: "CaffeNet"
input: "data"
input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0
  convolution_param { num_output: 96 kernel_size: 7 stride: 2 weight_filler { type: "gaussian" std: 0.01 } } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "norm1" type: LRN bottom: "conv1" top: "norm1" lrn_param { local_size: 5 alpha: 0.0005 beta: 0.75 } }
layers { name: "pool1" type: POOLING bottom: "norm1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 3 } }
layers { name: "fc7" type: INNER_PRODUCT bottom: "pool1" top: "fc7" blobs_lr: 9 blobs_lr: 18 param: "w" param: "b"
  blob_share_mode: PERMISSIVE inner_product_param { num_output: 4048 } }
layers { name: "drop7" type: DROPOUT bottom: "fc7" top: "fc7" dropout_param { dropout_ratio: 0.7 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc7" bottom: "label" top: "loss" loss_weight: 0.3
  include { phase: TRAIN } exclude { stage: "x" } }
"""


def upgraded_by_caffe(caffe, net, folder, form):
    """Return a net upgraded by upgrade_net_proto_text or _binary."""
    source, target = folder / "v1", folder / "new"
    if form == "text":
        source.write_text(format_text(net))
    else:
        write_binary(source, net)
    subprocess.run(
        [caffe.tool(f"upgrade_net_proto_{form}"), source, target],
        check=True,
        capture_output=True,
        env=caffe.environment or None,
    )
    return read_text(target, NetParameter) if form == "text" else read_binary(target, NetParameter)


@pytest.mark.caffe
@pytest.mark.parametrize("form", ["text", "binary"])
def test_a_net_is_upgraded_as_by_caffes_tool(caffe, tmp_path, form):
    net = parse_text(TEXT, NetParameter, "here")
    if form == "binary":
        net.layers[0].blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    assert upgrade(net) == upgraded_by_caffe(caffe, net, tmp_path, form)


@pytest.mark.caffe
def test_every_type_is_called_as_caffe_calls_it(caffe, tmp_path):
    types = V1LayerParameter.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name
    layers = [{"name": name, "type": name, "top": [name]} for name in types if name != "NONE"]
    net = NetParameter(layers=layers)
    assert len(layers) == 39
    theirs = upgraded_by_caffe(caffe, net, tmp_path, "text")
    assert [layer.type for layer in upgrade(net).layer] == [layer.type for layer in theirs.layer]


@pytest.mark.parametrize("net", ["vgg_s", "googlenet"])
def test_a_net_in_the_old_format_comes_back_as_it_was(net):
    today = committed(net, "deploy.prototxt")
    v1 = downgrade(today)
    assert (list(v1.input), list(v1.input_dim)) == (["data"], [1, 3, 224, 224])
    assert (len(v1.layer), len(v1.layers)) == (0, len(today.layer) - 1)
    back = upgrade(v1)
    back.layer[0].name = today.layer[0].name  # an input's name was not kept
    assert back == today


def test_what_a_layer_learns_comes_back_too():
    v1 = parse_text(TEXT, NetParameter, "here")
    assert downgrade(upgrade(v1)) == v1


def test_a_net_of_today_stays_as_it_is():
    net = NetParameter(name="x", layer=[{"name": "a", "type": "ReLU", "bottom": ["b"], "top": ["b"]}])
    assert upgrade(net) == net


def test_inputs_may_have_their_shape_in_either_way(tmp_path):
    for spelled in (
        "input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 5",
        "input_shape { dim: 1 dim: 3 dim: 4 dim: 5 }",
    ):
        (tmp_path / "deploy.prototxt").write_text(f'input: "data" {spelled}')
        (layer,) = read_net(tmp_path / "deploy.prototxt").layer
        assert (layer.type, list(layer.top), list(layer.input_param.shape[0].dim)) == ("Input", ["data"], [1, 3, 4, 5])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('layers { name: "a" } layer { name: "b" }', "two formats in one"),
        ('input: "data"', "has 1 inputs and shapes for 0"),
    ],
)
def test_half_a_net_is_refused(tmp_path, text, words):
    (tmp_path / "x.prototxt").write_text(text)
    with pytest.raises(EmotiwError, match=words):
        read_net(tmp_path / "x.prototxt")


def test_the_blobs_of_either_format_by_layer():
    blob = {"num": 1, "channels": 1, "height": 1, "width": 2, "data": [1, 2]}
    v1 = NetParameter(layers=[{"name": "a", "blobs": [blob]}, {"name": "b"}])
    new = NetParameter(layer=[{"name": "a", "blobs": [blob]}, {"name": "b"}])
    for net in (v1, new):
        ((name, blobs),) = weighted(net).items()
        assert name == "a"
        np.testing.assert_array_equal(blobs[0].data, [1, 2])
