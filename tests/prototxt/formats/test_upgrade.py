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
from emotiw.prototxt.formats.upgrade import downgrade, read_net, types, upgrade, weighted
from emotiw.prototxt.formats.upgrade_v0 import V1_NAMES
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


# The settings that once were in a data layer's own message.
TRANSFORMED = """
layers { name: "data" type: DATA top: "data" top: "label" transform_param { scale: 3 force_gray: true }
  data_param { source: "a" batch_size: 4 backend: LMDB scale: 0.5 crop_size: 2 mean_file: "mean" mirror: true } }
layers { name: "images" type: IMAGE_DATA top: "data2" image_data_param { source: "b" scale: 2 mean_file: "m" } }
layers { name: "windows" type: WINDOW_DATA top: "data3" window_data_param { source: "c" mirror: false crop_size: 7 } }
layers { name: "hdf5" type: HDF5_DATA top: "data4" hdf5_data_param { source: "d" batch_size: 3 } }
"""
BATCH_NORM = """
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" param { lr_mult: 1 } param { name: "w" } param { } }
layer { name: "bn2" type: "BatchNorm" bottom: "y" top: "z" param { lr_mult: 1 } }
layer { name: "data" type: "Data" top: "d" data_param { scale: 2 crop_size: 3 } }
"""
V0 = """
name: "old" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "data" type: "data" source: "a" batchsize: 4 cropsize: 5 mirror: true meanfile: "m" scale: 2
  rand_skip: 3 } top: "data" top: "label" }
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 6 kernelsize: 3 stride: 2 group: 3 biasterm: false
  weight_filler { type: "gaussian" std: 0.01 } bias_filler { value: 1 } blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 } bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pad2" type: "padding" pad: 1 } bottom: "conv1" top: "pad2" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "pad2" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "pool1" top: "norm1" }
layers { layer { name: "cat" type: "concat" concat_dim: 0 } bottom: "norm1" bottom: "norm1" top: "cat" }
layers { layer { name: "ip" type: "innerproduct" num_output: 5 biasterm: true weight_filler { std: 2 } }
  bottom: "cat" top: "ip" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.3 } bottom: "ip" top: "ip" }
layers { layer { name: "loss" type: "softmax_loss" } bottom: "ip" bottom: "label" }
layers { layer { name: "im" type: "images" source: "f" batchsize: 2 shuffle_images: true new_height: 5 new_width: 6
  rand_skip: 1 } top: "im" top: "l2" }
layers { layer { name: "win" type: "window_data" source: "w" batchsize: 2 det_fg_threshold: 0.1 det_bg_threshold: 0.2
  det_fg_fraction: 0.3 det_context_pad: 4 det_crop_mode: "square" } top: "win" top: "l3" }
layers { layer { name: "h5" type: "hdf5_data" source: "h" batchsize: 2 } top: "h5" }
layers { layer { name: "out" type: "hdf5_output" hdf5_output_param { file_name: "o" } } bottom: "h5" bottom: "l3" }
layers { layer { name: "gain" type: "infogain_loss" source: "g" } bottom: "ip" bottom: "label" }
"""


@pytest.mark.caffe
@pytest.mark.parametrize("text", [TRANSFORMED, BATCH_NORM, V0], ids=["data_param", "BatchNorm", "V0"])
@pytest.mark.parametrize("form", ["text", "binary"])
def test_older_settings_are_moved_as_by_caffes_tool(caffe, tmp_path, text, form):
    net = parse_text(text, NetParameter, "here")
    if form == "binary" and net.layers and net.layers[2].HasField("layer"):
        net.layers[2].layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    assert upgrade(net) == upgraded_by_caffe(caffe, net, tmp_path, form)


@pytest.mark.caffe
def test_every_v0_type_is_called_as_caffe_calls_it(caffe, tmp_path):
    net = NetParameter(layers=[{"layer": {"name": kind, "type": kind}, "top": [kind]} for kind in V1_NAMES])
    theirs = upgraded_by_caffe(caffe, net, tmp_path, "text")
    assert [layer.type for layer in upgrade(net).layer] == [layer.type for layer in theirs.layer]
    assert types(net) == {layer.name: layer.type for layer in theirs.layer}


def test_the_weights_of_a_v0_net_are_found():
    net = NetParameter(layers=[{"layer": {"name": "a", "type": "conv", "blobs": [{"data": [1, 2]}]}, "bottom": ["x"]}])
    ((name, (blob,)),) = weighted(net).items()
    assert (name, list(blob.data)) == ("a", [1, 2])


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        ('type: "swish"', r"^old: layer 'a' \(swish\): Caffe upgrades no such V0 type: there are accuracy, "),
        (
            'type: "relu" kernelsize: 3',
            r"^old: layer 'a' \(relu\): Caffe upgrades no 'kernelsize' of a V0",
        ),
        ('type: "pool" new_num: 3', "Caffe upgrades no 'new_num' of a V0 layer of this type: remove it"),
        ('type: "padding" pad: 1', r"layer 'a' \(padding\) has one bottom and one top"),
    ],
)
def test_a_v0_layer_that_caffe_would_lose_is_refused(inner, words):
    net = parse_text(f'layers {{ layer {{ name: "a" {inner} }} top: "a" }}', NetParameter, "here")
    with pytest.raises(EmotiwError, match=words):
        upgrade(net, "old")


def test_only_conv_and_pool_read_a_v0_padding():
    pad = 'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" }'
    net = parse_text(pad + 'layers { layer { name: "a" type: "relu" } bottom: "p" top: "a" }', NetParameter, "here")
    with pytest.raises(EmotiwError, match=r"layer 'a' .relu. reads a padding: only conv and pool do, with one bottom"):
        upgrade(net)


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
