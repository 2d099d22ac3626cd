"""Pieces of public nets of faces: layers that belong together, from the same weights, beside the real Caffe to 1e-5."""

from pathlib import Path

import numpy as np
import pytest

from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.layers import LAYERS
from emotiw.engine.torch.net import Net
from emotiw.prototxt.formats.messages import NetParameter, parse_text


def inputs(**shapes):
    return "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
        for name, shape in shapes.items()
        for dims in [" ".join(f"dim: {dim}" for dim in shape)]
    )


def layer(name, kind, bottoms, top=None, said=""):
    """A layer between blobs; without a top it computes in place."""
    reads = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {reads} top: "{top or bottoms}" {said} }}\n'


def convolution(name, bottom, said, more="bias_term: false"):
    return layer(name, "Convolution", bottom, name, f"convolution_param {{ {said} {more} }}")


def inner_product(name, bottom, outputs, said=""):
    return layer(name, "InnerProduct", bottom, name, f"{said} inner_product_param {{ num_output: {outputs} }}")


IMAGES = inputs(x=(4, 3, 9, 11), t=(4,))
NETS = {
    # ResNet and its like: all in place behind each convolution; a shortcut.
    "normalised": IMAGES
    + convolution("c1", "x", "num_output: 4 kernel_size: 3 pad: 1")
    + layer("n1", "BatchNorm", "c1")
    + layer("s1", "Scale", "c1", said="scale_param { bias_term: true }")
    + layer("r1", "ReLU", "c1")
    + convolution("c2", "c1", "num_output: 4 kernel_size: 3 pad: 1")
    + layer("n2", "BatchNorm", "c2", "n2", "batch_norm_param { moving_average_fraction: 0.9 eps: 0.001 }")
    + layer("s2", "Scale", "n2", said="scale_param { bias_term: true }")
    + layer("sum", "Eltwise", "c1 n2", "sum")
    + inner_product("f", "sum", 5)
    + layer("nf", "BatchNorm", "f", "nf")
    + layer("loss", "SoftmaxWithLoss", "nf t", "loss"),
    # SphereFace and centre loss: PReLU in place.
    "slopes": IMAGES
    + convolution("c1", "x", "num_output: 4 kernel_size: 3 stride: 2", "")
    + layer("p1", "PReLU", "c1")
    + convolution("c2", "c1", "num_output: 4 kernel_size: 3 pad: 1", "")
    + layer("p2", "PReLU", "c2", "p2", "prelu_param { channel_shared: true }")
    + layer("sum", "Eltwise", "c1 p2", "sum")
    + inner_product("f", "sum", 5)
    + layer("loss", "SoftmaxWithLoss", "f t", "loss"),
    # The siamese example: two branches of the same weights.
    "siamese": inputs(x=(6, 7), z=(6, 7), t=(6,))
    + "".join(
        inner_product(f"f{side}", side, 8, 'param { name: "w" } param { name: "b" }')
        + layer(f"e{side}", "ELU", f"f{side}")
        + inner_product(f"g{side}", f"f{side}", 2)
        for side in "xz"
    )
    + layer("loss", "ContrastiveLoss", "gx gz t", "loss", "contrastive_loss_param { margin: 3 }"),
    # Fully convolutional nets: enlarged, cropped to the image, a target for each pixel, some ignored.
    "each pixel": inputs(x=(2, 3, 9, 11), t=(2, 4, 9, 11))
    + convolution("c1", "x", "num_output: 4 kernel_size: 3 stride: 2 pad: 2", "")
    + layer("up", "Deconvolution", "c1", "up", "convolution_param { num_output: 4 kernel_size: 4 stride: 2 }")
    + layer("part", "Crop", "up t", "part", "crop_param { axis: 2 offset: 2 offset: 3 }")
    + layer("loss", "SigmoidCrossEntropyLoss", "part t", "loss", "loss_param { ignore_label: -1 }"),
    # Pyramid pooling, so that faces of any size make as many numbers; a support vector machine behind it.
    "pyramid": IMAGES
    + convolution("c1", "x", "num_output: 4 kernel_size: 2", "")
    + layer("abs", "AbsVal", "c1", "abs")
    + layer("most", "SPP", "abs", "most", "spp_param { pyramid_height: 3 }")
    + layer("mean", "SPP", "c1", "mean", "spp_param { pyramid_height: 2 pool: AVE }")
    + layer("both", "Concat", "most mean", "both")
    + inner_product("f", "both", 5)
    + layer("loss", "HingeLoss", "f t", "loss", "hinge_loss_param { norm: L2 }"),
    # Features of length 1, by Scale and by Tile; a regression on logarithms and one on exponentials.
    "unit length": inputs(x=(5, 7), t=(5, 6))
    + inner_product("f", "x", 6)
    + layer("square", "Reduction", "f", "square", "reduction_param { axis: 1 operation: SUMSQ }")
    + layer("short", "Power", "square", "short", "power_param { power: -0.5 shift: 0.1 }")
    + layer("unit", "Scale", "f short", "unit", "scale_param { axis: 0 }")
    + layer("log", "Log", "unit", "log", "log_param { shift: 2 base: 2 }")
    + layer("column", "Reshape", "short", "column", "reshape_param { shape { dim: 0 dim: 1 } }")
    + layer("wide", "Tile", "column", "wide", "tile_param { tiles: 6 }")
    + layer("same", "Eltwise", "f wide", "same", "eltwise_param { operation: PROD }")
    + layer("exp", "Exp", "same", said="exp_param { scale: 0.7 }")
    + layer("size", "Reduction", "log", "size", "reduction_param { operation: ASUM coeff: 0.1 } loss_weight: 0.5")
    + layer("loss", "EuclideanLoss", "same t", "loss"),
}


def net_of(text):
    return Net(graph_of(parse_text(text, NetParameter, "net"), State("TRAIN")), seed=0)


def given_to(text, seed):
    """Inputs, and weights that let every layer speak."""
    net, rng = net_of(text), np.random.default_rng(seed)
    given = {f"blob:{name}": rng.standard_normal(net.shapes[name]) for name in net.inputs}
    shape = net.shapes["t"]
    choices = {"SigmoidCross": [0, 0.3, 1, -1], "Contrastive": [0, 1], "Euclidean": [-1, 0, 2]}
    given["blob:t"] = rng.choice(next((c for kind, c in choices.items() if kind in text), list(range(5))), shape)
    for one in net.layers:
        for k, (size, is_sum) in enumerate((size, one.param.type == "BatchNorm") for size in one.shapes):
            drawn = rng.standard_normal(size) / np.sqrt(max(1, np.prod(size[1:])))
            given[f"param:{one.param.name}:{k}"] = np.abs(drawn) + 0.5 if is_sum else drawn
    return {name: np.asarray(array, np.float32) for name, array in given.items()}


@pytest.fixture(scope="module")
def cases(make_case):
    return {
        f"{name} {phase}": make_case(text, given_to(text, seed), phase)
        for seed, (name, text) in enumerate(NETS.items())
        for phase in ("TRAIN", "TEST")
    }


@pytest.fixture(scope="module")
def by_caffe(cases, in_caffe):
    return in_caffe(cases)


def scale_of(key, theirs):
    """The largest number of a blob; of a gradient its layer's: a lone bias may be a sum that all but vanishes."""
    blobs = [key] if not key.startswith("gradient:") else [k for k in theirs if k[:-1] == key[:-1]]
    return max(np.abs(theirs[blob]).max() for blob in blobs) or 1


@pytest.mark.caffe
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("name", NETS)
def test_forward_and_backward(cases, by_caffe, in_torch, name, phase, device):
    ours, theirs = in_torch(cases[f"{name} {phase}"], device), by_caffe[f"{name} {phase}"]
    assert {key for key in theirs if key.startswith("blob:") and "_split_" not in key} <= ours.keys()
    # The statistics of BatchNorm have no gradient, in Caffe zeros.
    fixed = {key for key in theirs if key.startswith("gradient:") and not theirs[key].any()}
    assert {key for key in theirs if key.startswith("gradient:")} - fixed <= ours.keys()
    assert fixed == ({f"gradient:{n}:{k}" for n in ("n1", "n2", "nf") for k in range(3)} & theirs.keys())
    errors = {key: np.abs(ours[key] - theirs[key]).max() / scale_of(key, theirs) for key in ours}
    wrong = {key: error for key, error in errors.items() if error > 1e-5}
    assert not wrong, wrong


def test_the_page_lists_every_layer():
    page = (Path(__file__).parents[4] / "docs/torch_engine.md").read_text()
    shown = page.partition("<!-- layers -->\n")[2].partition("\n<!-- end -->")[0]
    assert " ".join(shown.split()) == ", ".join(sorted(LAYERS))
