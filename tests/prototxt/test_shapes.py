"""The shapes of every blob, in Caffe and by our own rules, against literals.

The literals are from a Caffe log of the released net, from the papers' tables and, for small nets, by hand.
"""

from importlib import resources

import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, parse_text
from emotiw.prototxt.shapes import parameters, shapes
from emotiw.prototxt.surgery import committed, deploy, use_classes
from emotiw.prototxt.zoo.nets import NETS

# Channels and side of each blob; fully connected ones have no side.
VGG = {
    "vgg_s": "data 3 224, conv1 96 109, norm1 96 109, pool1 96 37, conv2 256 37, pool2 256 19, conv3 512 19, "
    "conv4 512 19, conv5 512 19, pool5 512 7, fc6 4048, fc7 4048, fc8 7, prob 7",
    "vgg_m_2048": "data 3 224, conv1 96 109, norm1 96 109, pool1 96 54, conv2 256 26, norm2 256 26, pool2 256 13, "
    "conv3 512 13, conv4 512 13, conv5 512 13, pool5 512 6, fc6 4096, fc7 2048, fc8 7, prob 7",
    "vgg_m_4096": "data 3 224, conv1 96 109, norm1 96 109, pool1 96 54, conv2 256 26, norm2 256 26, pool2 256 13, "
    "conv3 512 13, conv4 512 13, conv5 512 13, pool5 512 6, fc6 4096, fc7 4096, fc8 7, prob 7",
    "vgg_s_medium": "data 3 112, input_scale 3 112, conv1 48 53, norm1 48 53, pool1 48 18, conv2 128 18, pool2 128 9, "
    "conv3 256 9, conv4 256 9, conv5 256 9, pool5 256 3, fc6 1024, fc7 1024, fc8 7, prob 7",
    "vgg_m_2048_medium": "data 3 112, input_scale 3 112, conv1 48 53, norm1 48 53, pool1 48 26, conv2 128 24, "
    "norm2 128 24, pool2 128 12, conv3 256 12, conv4 256 12, conv5 256 12, pool5 256 6, fc6 1024, fc7 512, fc8 7, "
    "prob 7",
    "vgg_m_4096_medium": "data 3 112, input_scale 3 112, conv1 48 53, norm1 48 53, pool1 48 26, conv2 128 24, "
    "norm2 128 24, pool2 128 12, conv3 256 12, conv4 256 12, conv5 256 12, pool5 256 6, fc6 1024, fc7 1024, fc8 7, "
    "prob 7",
    "vgg_s_small": "data 3 56, conv1 24 25, norm1 24 25, pool1 24 9, conv2 64 9, pool2 64 5, conv3 128 5, conv4 128 5, "
    "conv5 128 5, pool5 128 2, fc6 256, fc7 256, fc8 7, prob 7",
    "vgg_m_2048_small": "data 3 56, conv1 24 25, norm1 24 25, pool1 24 12, conv2 64 10, norm2 64 10, pool2 64 5, "
    "conv3 128 5, conv4 128 5, conv5 128 5, pool5 128 2, fc6 256, fc7 128, fc8 7, prob 7",
    "vgg_m_4096_small": "data 3 56, conv1 24 25, norm1 24 25, pool1 24 12, conv2 64 10, norm2 64 10, pool2 64 5, "
    "conv3 128 5, conv4 128 5, conv5 128 5, pool5 128 2, fc6 256, fc7 256, fc8 7, prob 7",
}
# GoogLeNet: first, last layers; inceptions: side, channels in, 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj, sum.
GOOGLENET = {
    "googlenet": (
        "data 3 224, conv1/7x7_s2 64 112, pool1/3x3_s2 64 56, pool1/norm1 64 56, conv2/3x3_reduce 64 56, "
        "conv2/3x3 192 56, conv2/norm2 192 56, pool2/3x3_s2 192 28, pool3/3x3_s2 480 14, pool4/3x3_s2 832 7, "
        "pool5/7x7_s1 1024 1, loss3/classifier 7, prob 7",
        {
            "3a": (28, 192, 64, 96, 128, 16, 32, 32, 256),
            "3b": (28, 256, 128, 128, 192, 32, 96, 64, 480),
            "4a": (14, 480, 192, 96, 208, 16, 48, 64, 512),
            "4b": (14, 512, 160, 112, 224, 24, 64, 64, 512),
            "4c": (14, 512, 128, 128, 256, 24, 64, 64, 512),
            "4d": (14, 512, 112, 144, 288, 32, 64, 64, 528),
            "4e": (14, 528, 256, 160, 320, 32, 128, 128, 832),
            "5a": (7, 832, 256, 160, 320, 32, 128, 128, 832),
            "5b": (7, 832, 384, 192, 384, 48, 128, 128, 1024),
        },
    ),
    "googlenet_medium": (
        "data 3 112, input_scale 3 112, conv1/7x7_s2 32 56, pool1/3x3_s2 32 28, pool1/norm1 32 28, "
        "conv2/3x3_reduce 32 28, conv2/3x3 96 28, conv2/norm2 96 28, pool2/3x3_s2 96 14, pool3/3x3_s1 240 12, "
        "pool4/3x3_s2 416 6, pool5/6x6_s1 512 1, loss3/classifier 7, prob 7",
        {
            "3a": (14, 96, 32, 48, 64, 8, 16, 16, 128),
            "3b": (14, 128, 64, 64, 96, 16, 48, 32, 240),
            "4a": (12, 240, 96, 48, 104, 8, 24, 32, 256),
            "4b": (12, 256, 80, 56, 112, 12, 32, 32, 256),
            "4c": (12, 256, 64, 64, 128, 12, 32, 32, 256),
            "4d": (12, 256, 56, 72, 144, 16, 32, 32, 264),
            "4e": (12, 264, 128, 80, 160, 16, 64, 64, 416),
            "5a": (6, 416, 128, 80, 160, 16, 64, 64, 416),
            "5b": (6, 416, 192, 96, 192, 24, 64, 64, 512),
        },
    ),
    "googlenet_small": (
        "data 3 56, conv1/7x7_s2 8 28, pool1/3x3_s2 8 14, pool1/norm1 8 14, conv2/3x3_reduce 8 14, conv2/3x3 24 14, "
        "conv2/norm2 24 14, pool2/3x3_s2 24 7, pool3/3x3_s1 60 5, pool4/3x3_s2 104 2, pool5/2x2_s1 128 1, "
        "loss3/classifier 7, prob 7",
        {
            "3a": (7, 24, 8, 12, 16, 2, 4, 4, 32),
            "3b": (7, 32, 16, 16, 24, 4, 12, 8, 60),
            "4a": (5, 60, 24, 12, 26, 2, 6, 8, 64),
            "4b": (5, 64, 20, 14, 28, 3, 8, 8, 64),
            "4c": (5, 64, 16, 16, 32, 3, 8, 8, 64),
            "4d": (5, 64, 14, 18, 36, 4, 8, 8, 66),
            "4e": (5, 66, 32, 20, 40, 4, 16, 16, 104),
            "5a": (2, 104, 32, 20, 40, 4, 16, 16, 104),
            "5b": (2, 104, 48, 24, 48, 6, 16, 16, 128),
        },
    ),
}
PARAMETERS = {
    "vgg_s": 124_507_607,  # x 4 = 498,030,428 bytes of the authors' caffemodel's 498,032,193
    "vgg_m_2048": 90_435_207,
    "vgg_m_4096": 98_840_199,
    "googlenet": 5_980_727,
    "vgg_s_medium": 5_053_255,
    "vgg_m_2048_medium": 11_602_759,
    "vgg_m_4096_medium": 12_131_143,
    "googlenet_medium": 1_501_151,
    "vgg_s_small": 609_959,
    "vgg_m_2048_small": 576_167,
    "vgg_m_4096_small": 609_959,
    "googlenet_small": 96_065,
}
# The auxiliary heads of a batch of 50: pooled maps, convolution, fully connected, classifier.
HEADS = {
    "googlenet": {"loss1": (512, 4, 128, 1024), "loss2": (528, 4, 128, 1024)},
    "googlenet_medium": {"loss1": (256, 4, 64, 512), "loss2": (264, 4, 64, 512)},
    "googlenet_small": {"loss1": (64, 1, 16, 128), "loss2": (66, 1, 16, 128)},
}


def spelled(table):
    """Shapes of one image from "name channels side, ..."."""
    rows = (row.split() for row in table.split(", "))
    return {name: (1, int(channels), *[int(side) for side in sides * 2]) for name, channels, *sides in rows}


def expected(net):
    """Every blob of the deploy form of a net."""
    if net in VGG:
        return spelled(VGG[net])
    ends, inceptions = GOOGLENET[net]
    table = spelled(ends)
    parts = ("pool", "1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj", "output")
    for name, (side, *channels) in inceptions.items():
        for part, channel in zip(parts, channels, strict=True):
            table[f"inception_{name}/{part}"] = (1, channel, side, side)
    return table


@pytest.mark.parametrize("net", NETS)
def test_our_shapes_are_the_literals(net):
    blobs, params = shapes(committed(net, "deploy.prototxt"))
    assert blobs == expected(net)
    assert parameters(params) == PARAMETERS[net]


@pytest.mark.caffe
@pytest.mark.parametrize("net", NETS)
def test_caffes_shapes_are_the_literals(describe, net):
    with resources.as_file(resources.files("emotiw.prototxt") / net / "deploy.prototxt") as file:
        reported = describe(file)
    # Caffe splits blobs that several layers read.
    blobs = {name: tuple(shape) for name, shape in reported["blobs"].items() if "_split_" not in name}
    assert blobs == expected(net)
    assert reported["parameters"] == PARAMETERS[net]
    assert (reported["inputs"], reported["outputs"]) == (["data"], ["prob"])
    params = shapes(committed(net, "deploy.prototxt"))[1]
    assert {name: [tuple(shape) for shape in blobs] for name, blobs in reported["params"].items()} == params


@pytest.mark.parametrize("net", HEADS)
def test_the_auxiliary_heads(net):
    train_val = committed(net, "train_val_pretrain.prototxt")
    use_classes(train_val, 40)
    batch = train_val.layer[0].data_param.batch_size
    blobs, params = shapes(train_val)
    for head, (channels, side, conv, fc) in HEADS[net].items():
        assert blobs[f"{head}/ave_pool"] == (batch, channels, side, side)
        assert blobs[f"{head}/conv"] == (batch, conv, side, side)
        assert (blobs[f"{head}/fc"], blobs[f"{head}/classifier"]) == ((batch, fc), (batch, 40))
        assert (blobs[f"{head}/loss1"], params[f"{head}/fc"]) == ((), [(fc, conv * side * side), (fc,)])
    assert blobs["loss3/classifier"] == (batch, 40)
    assert not any(name.startswith(("loss1", "loss2")) for name in shapes(deploy(train_val))[0])


POOL = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 2 dim: {side} dim: {side} }} }} }}
layer {{ name: "p" type: "Pooling" bottom: "data" top: "p"
         pooling_param {{ kernel_size: {k} stride: {s} pad: {pad} }} }}
"""


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("side", "k", "s", "pad", "out"),
    [(7, 3, 2, 0, 3), (8, 3, 2, 0, 4), (5, 2, 2, 1, 3), (6, 2, 2, 1, 4), (3, 5, 3, 0, 1)],
)
def test_pooling_rounds_up_as_caffe_does(describe, tmp_path, side, k, s, pad, out):
    text = POOL.format(side=side, k=k, s=s, pad=pad)
    assert shapes(parse_text(text, NetParameter, "here"))[0]["p"] == (1, 2, out, out)
    (tmp_path / "net.prototxt").write_text(text)
    assert describe(tmp_path / "net.prototxt")["blobs"]["p"] == [1, 2, out, out]


def test_a_layer_that_no_net_here_has():
    net = parse_text('layer { name: "b" type: "Embed" bottom: "x" top: "x" }', NetParameter, "here")
    with pytest.raises(EmotiwError, match=r"^layer b is of type Embed: there are Data, Input"):
        shapes(net)


@pytest.mark.parametrize(
    "layer",
    [
        'bottom: "nowhere" top: "a"',
        'bottom: "data" top: "a" pooling_param { kernel_size: 2 stride: 0 }',
        'bottom: "data" top: "a" pooling_param { kernel_size: 2 pad: 2 }',
        'bottom: "data" top: "a" top: "b" pooling_param { kernel_size: 2 }',
    ],
)
def test_a_layer_that_cannot_be_built_is_one_line(layer):
    net = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }'
    net += f'layer {{ name: "pool" type: "Pooling" {layer} }}'
    with pytest.raises(EmotiwError, match="layer pool of type Pooling cannot be built"):
        shapes(parse_text(net, NetParameter, "here"))


# Layers that a user's own net may have, with windows that differ in height and width.
ODD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 21 dim: 21 } } }
layer { name: "same" type: "Input" top: "same" input_param { shape { dim: 2 } } }
layer { name: "by" type: "Power" bottom: "data" top: "by" power_param { scale: 0.5 } }
layer { name: "wide" type: "Convolution" bottom: "by" top: "wide"
  convolution_param { num_output: 6 group: 3 kernel_h: 5 kernel_w: 3 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0
                      bias_term: false } }
layer { name: "norm" type: "BatchNorm" bottom: "wide" top: "norm" }
layer { name: "factor" type: "Scale" bottom: "norm" top: "norm" scale_param { bias_term: true } }
layer { name: "slope" type: "PReLU" bottom: "norm" top: "norm" }
layer { name: "holes" type: "Convolution" bottom: "norm" top: "holes"
  convolution_param { num_output: 4 kernel_size: 3 dilation: 2 pad: 2 } }
layer { name: "down" type: "Pooling" bottom: "holes" top: "down"
  pooling_param { kernel_h: 2 kernel_w: 3 stride: 2 pad_h: 0 pad_w: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "down" top: "up"
  convolution_param { num_output: 5 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "all" type: "Pooling" bottom: "up" top: "all" pooling_param { pool: AVE global_pooling: true } }
layer { name: "flat" type: "Flatten" bottom: "all" top: "flat" }
layer { name: "flat norm" type: "BatchNorm" bottom: "flat" top: "flat norm" }
layer { name: "pyramid" type: "SPP" bottom: "up" top: "pyramid" spp_param { pyramid_height: 3 } }
layer { name: "top" type: "SPP" bottom: "up" top: "top" spp_param { pyramid_height: 1 pool: AVE } }
layer { name: "part" type: "Crop" bottom: "up" bottom: "down" top: "part" crop_param { axis: -1 offset: 2 } }
layer { name: "times" type: "Tile" bottom: "up" top: "times" tile_param { axis: 2 tiles: 3 } }
layer { name: "sums" type: "Reduction" bottom: "up" top: "sums" reduction_param { axis: -2 } }
layer { name: "sum" type: "Reduction" bottom: "sums" top: "sum" }
layer { name: "far" type: "ContrastiveLoss" bottom: "flat" bottom: "flat" bottom: "same" top: "far" }
layer { name: "cross" type: "SigmoidCrossEntropyLoss" bottom: "up" bottom: "up" top: "cross" }
layer { name: "both" type: "Concat" bottom: "flat" bottom: "flat" top: "both" }
layer { name: "shift" type: "Bias" bottom: "both" top: "shift" }
layer { name: "last" type: "InnerProduct" bottom: "shift" top: "last"
  inner_product_param { num_output: 7 bias_term: false } }
layer { name: "prob" type: "Softmax" bottom: "last" top: "prob" }
"""


@pytest.mark.caffe
def test_shapes_of_layers_of_own_nets_equal_caffes(describe, tmp_path):
    (tmp_path / "odd.prototxt").write_text(ODD)
    reported = describe(tmp_path / "odd.prototxt")
    blobs, params = shapes(parse_text(ODD, NetParameter, "odd"))
    assert {name: list(shape) for name, shape in blobs.items()} == {name: reported["blobs"][name] for name in blobs}
    found = {name: [list(shape) for shape in learned] for name, learned in params.items()}
    assert found == {name: learned for name, learned in reported["params"].items() if learned}
