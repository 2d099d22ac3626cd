"""Each layer type, in odd geometries, by ONNX Runtime and by OpenCV: what the real Caffe computes."""

import numpy as np
import onnx
import pytest

from emotiw.engine.onnx.layers import RULES
from emotiw.engine.onnx.model import ImageInput, model_of
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import NetParameter, parse_text
from emotiw.prototxt.shapes import LayerError, shapes

SIDE = 17
DATA = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [1, 3, {SIDE}, {SIDE}] }} }} }} '


def layer(kind, settings="", bottoms="data", top="prob"):
    """A layer in prototxt; `bottoms` are separated by blanks."""
    taken = "".join(f'bottom: "{bottom}" ' for bottom in bottoms.split())
    made = "".join(f'top: "{name}" ' for name in top.split())
    return f'layer {{ name: "{top.split()[0]} of {kind}" type: "{kind}" {taken}{made}{settings} }} '


def conv(settings, bottoms="data", top="prob"):
    return layer("Convolution", f"convolution_param {{ {settings} }}", bottoms, top)


def pool(settings, bottoms="data"):
    return layer("Pooling", f"pooling_param {{ {settings} }}", bottoms)


def eltwise(settings):
    return conv("num_output: 3 kernel_size: 1", top="other") + layer(
        "Eltwise", f"eltwise_param {{ {settings} }}", "data other"
    )


NETS = {
    "grouped, dilated, oblong convolution": conv(
        "num_output: 6 group: 3 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 2 pad_w: 1 dilation: 2"
    ),
    "convolution without bias": conv("num_output: 4 kernel_size: 5 stride: 3 pad: 1 bias_term: false"),
    "maxima, a window cut off at the end": pool("pool: MAX kernel_size: 2 stride: 2"),
    "maxima, padded, the last window left out": pool("pool: MAX kernel_size: 2 stride: 2 pad: 1"),
    "maxima, padded, the last window clipped": pool("pool: MAX kernel_size: 4 stride: 3 pad: 1"),
    "maxima, oblong": pool("pool: MAX kernel_h: 3 kernel_w: 5 stride_h: 3 stride_w: 2 pad_h: 0 pad_w: 2"),
    "maxima, rounded down": pool("pool: MAX kernel_size: 2 stride: 2 round_mode: FLOOR"),
    "means": pool("pool: AVE kernel_size: 3 stride: 2"),
    "means, padded": pool("pool: AVE kernel_size: 3 stride: 2 pad: 1"),
    "means, cut off at the end": pool("pool: AVE kernel_size: 4 stride: 4"),
    "means, padded and clipped": pool("pool: AVE kernel_size: 5 stride: 4 pad: 2"),
    "maximum of all": pool("pool: MAX global_pooling: true"),
    "mean of all": pool("pool: AVE global_pooling: true"),
    "LRN": conv("num_output: 9 kernel_size: 3", top="made")
    + layer("LRN", "lrn_param { local_size: 3 alpha: 0.02 beta: 0.6 k: 2.5 }", "made"),
    "LRN over more channels than there are": layer("LRN", "lrn_param { local_size: 9 alpha: 0.01 beta: 0.75 }"),
    "two fully connected": layer("InnerProduct", "inner_product_param { num_output: 5 bias_term: false }", top="made")
    + layer("InnerProduct", "inner_product_param { num_output: 4 transpose: true }", "made"),
    "activations in place": conv("num_output: 4 kernel_size: 3", top="made")
    + layer("ReLU", "", "made", "made")
    + layer("TanH", "", "made", "made")
    + layer("Dropout", "dropout_param { dropout_ratio: 0.7 }", "made", "made")
    + layer("ReLU", "relu_param { negative_slope: 0.2 }", "made"),
    "sigmoid": layer("Sigmoid"),
    "absolute values, and BNLL": layer("AbsVal", top="made") + layer("BNLL", "", "made"),
    "power": layer("Power", "power_param { power: 2 scale: 0.5 shift: -3 }", top="made")
    + layer("Power", "power_param { scale: -0.25 }", "made"),
    "sum with coefficients": eltwise("operation: SUM coeff: 1 coeff: -0.5"),
    "product": eltwise("operation: PROD"),
    "largest": eltwise("operation: MAX"),
    "concatenated twice": layer("Split", top="made too")
    + layer("Concat", "concat_param { axis: 2 }", "made too", "high")
    + layer("Concat", "", "high high"),
    "batch norm, scale, bias": layer("BatchNorm", "batch_norm_param { eps: 0.01 }", top="made")
    + layer("Scale", "scale_param { bias_term: true }", "made", "scaled")
    + layer("Bias", "", "scaled"),
    "a scale for each pixel": layer("Scale", "scale_param { axis: -2 num_axes: 2 }"),
    "PReLU": layer("PReLU"),
    "PReLU of one slope": layer("PReLU", "prelu_param { channel_shared: true }"),
    "flattened": layer("Flatten", top="made") + layer("Softmax", "", "made"),
    "softmax over channels, and over columns": layer("Softmax", top="made")
    + layer("Softmax", "softmax_param { axis: 3 }", "made"),
}


def net_of(text):
    return parse_text(DATA + text, NetParameter, "the test's net")


def random_blobs(net):
    """Weights in [-0.5, 0.5], but in [0.5, 1] for BatchNorm, whose variances are positive."""
    rng = np.random.default_rng(0)
    kinds = {each.name: each.type for each in net.layer}
    low, high = np.float32(-0.5), np.float32(0.5)
    found = {}
    for name, learned in shapes(net)[1].items():
        begin, width = (high, high) if kinds[name] == "BatchNorm" else (low, high - low)
        found[name] = [begin + width * rng.random(shape, np.float32) for shape in learned]
    return found


def images():
    return np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


MEAN, SCALE = np.full((3, SIDE, SIDE), 100, np.float32), 0.02


PLAIN = ImageInput("rgb", SIDE, MEAN)


def joined(nets):
    """All nets as branches of one, and the weights of all: its output has theirs end to end."""
    whole, weights = net_of(""), {}
    for number, net in enumerate(nets):
        for each in net.layer[1:]:
            copy = whole.layer.add()
            copy.CopyFrom(each)
            copy.name = f"{number}/{each.name}"
            for names in (copy.bottom, copy.top):
                names[:] = [name if name == "data" else f"{number}/{name}" for name in names]
        weights |= {f"{number}/{name}": blobs for name, blobs in random_blobs(net).items()}
        whole.layer.add(name=f"{number}/flat", type="Flatten", bottom=[f"{number}/prob"], top=[f"{number}/flat"])
    flat = [f"{number}/flat" for number in range(len(nets))]
    whole.layer.add(name="prob", type="Concat", bottom=flat, top=["prob"])
    return whole, weights


@pytest.fixture(scope="module")
def by_caffe(engine, written, tmp_path_factory):
    """The output of every net by the real Caffe, (2, ...): all in one pass."""
    nets = {name: net_of(text) for name, text in NETS.items()}
    blob = ((images()[..., ::-1].transpose(0, 3, 1, 2) - MEAN) * np.float32(SCALE)).astype(np.float32)
    with engine.scorer(*written(tmp_path_factory.mktemp("joined"), *joined([*nets.values()]))) as scorer:
        found = scorer.scores(blob)
    sizes = [int(np.prod(shapes(net)[0]["prob"][1:])) for net in nets.values()]
    assert found.shape == (2, sum(sizes))
    return dict(zip(nets, np.split(found, np.cumsum(sizes)[:-1], axis=1), strict=True))


@pytest.mark.caffe
@pytest.mark.parametrize("name", NETS)
def test_as_caffe(name, by_caffe, by_runtime, by_opencv):
    net = net_of(NETS[name])
    model = model_of(net, random_blobs(net), ImageInput("rgb", SIDE, MEAN, SCALE), {}, name)
    for run in (by_runtime, by_opencv):
        found = run(model, images())
        assert found.shape == (2, *shapes(net)[0]["prob"][1:])
        np.testing.assert_allclose(found.reshape(2, -1), by_caffe[name], rtol=1e-5, atol=1e-5, err_msg=str(run))


def test_every_rule_is_tested():
    named = {each.type for text in NETS.values() for each in net_of(text).layer}
    assert named == {"Input", *RULES}


REFUSED = {
    "STOCHASTIC": pool("pool: STOCHASTIC kernel_size: 2"),
    "begins after the image": pool("pool: MAX kernel_size: 1 stride: 3"),
    "WITHIN_CHANNEL": layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }"),
    "axis 2": layer("InnerProduct", "inner_product_param { num_output: 5 axis: 2 }"),
    "use_global_stats": layer("BatchNorm", "batch_norm_param { use_global_stats: false }"),
    "its factor is a bottom": layer("Scale", "", "data data"),
    "its bias is a bottom": layer("Bias", "", "data data"),
    "joins axes 2 to -1": layer("Flatten", "flatten_param { axis: 2 }"),
    "there are AbsVal": layer("Deconvolution", "convolution_param { num_output: 2 kernel_size: 2 }"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_layer_that_cannot_be_exported_names_itself(why):
    net = net_of(REFUSED[why])
    name, kind = net.layer[1].name, net.layer[1].type
    with pytest.raises(LayerError, match=f"^layer {name} of type {kind} cannot be exported to ONNX: .*{why}"):
        model_of(net, random_blobs(net), PLAIN, {}, "")


def test_the_indices_of_maxima_are_refused():
    net = net_of(layer("Pooling", "pooling_param { kernel_size: 2 }", top="prob mask"))
    with pytest.raises(LayerError, match=r"^layer prob of Pooling of type Pooling cannot be "):
        model_of(net, {}, PLAIN, {}, "")


def test_a_type_that_is_unknown_names_its_layer():
    net = net_of('layer { name: "odd" type: "Oddity" bottom: "data" top: "prob" }')
    with pytest.raises(LayerError, match=r"^layer odd of type Oddity cannot be exported to ONNX: there are "):
        model_of(net, {}, PLAIN, {}, "")


def test_layers_of_the_training_phase_are_left_out_and_the_output_is_named_prob():
    text = layer("Accuracy", "include { phase: TRAIN }", top="accuracy") + layer("Sigmoid", top="prob")
    model = model_of(net_of(text), {}, PLAIN, {"a": "b"}, "t")
    assert [output.name for output in model.graph.output] == ["prob"]
    assert [node.op_type for node in model.graph.node][-2:] == ["Sigmoid", "Identity"]
    assert [(prop.key, prop.value) for prop in model.metadata_props] == [("a", "b")]


def test_a_net_without_posteriors_is_refused():
    with pytest.raises(EmotiwError, match="has no blob prob"):
        model_of(net_of(layer("Sigmoid", top="other")), {}, PLAIN, {}, "")


def test_names_in_the_graph_are_unique():
    model = model_of(
        net_of(NETS["activations in place"]), random_blobs(net_of(NETS["activations in place"])),
        PLAIN, {}, "",
    )  # fmt: skip
    made = [name for node in model.graph.node for name in node.output] + [each.name for each in model.graph.initializer]
    assert len(set(made)) == len(made)
    assert {node.name for node in model.graph.node if node.op_type in ("Conv", "Tanh", "LeakyRelu")} == {
        "made of Convolution", "made of TanH", "prob of ReLU",
    }  # fmt: skip
    onnx.checker.check_model(model, full_check=True)
