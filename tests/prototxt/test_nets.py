import json
import os
import subprocess
from importlib import resources

import numpy as np
import pytest

from emotiw.data_prep.datum import encode
from emotiw.data_prep.writing import LmdbWriter, key
from emotiw.engine.caffe.describe import describe
from emotiw.prototxt import nets
from emotiw.prototxt.execution import committed, crop_size, set_size, use_set
from emotiw.prototxt.messages import format_text

# Net and stage, of every train_val and solver there is.
STAGES = [(net, stage) for net in nets.NETS for stage in nets.STAGES]

# The authors' deploy.prototxt as published in their Model Zoo gist; the shapes as a retraining's Caffe log shows them.
VGG_S_SHAPES = {
    "data": [1, 3, 224, 224],
    "conv1": [1, 96, 109, 109],
    "norm1": [1, 96, 109, 109],
    "pool1": [1, 96, 37, 37],
    "conv2": [1, 256, 37, 37],
    "pool2": [1, 256, 19, 19],
    "conv3": [1, 512, 19, 19],
    "conv4": [1, 512, 19, 19],
    "conv5": [1, 512, 19, 19],
    "pool5": [1, 512, 7, 7],
    "fc6": [1, 4048],
    "fc7": [1, 4048],
    "fc8": [1, 7],
    "prob": [1, 7],
}


@pytest.mark.parametrize("net", nets.NETS)
def test_what_is_committed_is_what_is_generated(net):
    folder = resources.files("emotiw.prototxt") / net
    found = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith("prototxt")}
    assert found == nets.files(net)


@pytest.mark.caffe
def test_vgg_s_is_the_released_net_in_caffe(caffe):
    with resources.as_file(resources.files("emotiw.prototxt") / "vgg_s/deploy.prototxt") as file:
        told = describe(caffe, file)
    assert told["blobs"] == VGG_S_SHAPES
    assert told["parameters"] == 124_507_607  # x 4 = 498,030,428 bytes of their caffemodel's 498,032,193
    assert told["params"]["fc6"] == [[4048, 25088], [4048]]
    assert told["params"]["fc8_cat"] == [[7, 4048], [7]]
    assert (told["inputs"], told["outputs"]) == (["data"], ["prob"])


def layer(net, name):
    return next(layer for layer in net.layer if layer.name == name)


def test_the_fine_tuning_net_is_the_authors():
    """What their published train_val says: rates, decay, fillers, biases, dropout, batches, mirror."""
    net = committed("vgg_s", "train_val_finetune.prototxt")
    convolutions = [f"conv{k}" for k in range(1, 6)]
    rates = dict.fromkeys([*convolutions, "fc6"], (1, 2)) | {"fc7": (9, 18), "fc8_cat": (12, 24)}  # weight, bias
    learned = {found.name: found for found in net.layer if found.param}
    assert {name: tuple(param.lr_mult for param in found.param) for name, found in learned.items()} == rates
    assert all([param.decay_mult for param in found.param] == [1, 0] for found in learned.values())

    stds = dict.fromkeys([*convolutions, "fc8_cat"], 0.01) | {"fc6": 0.005, "fc7": 0.005}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, found in learned.items():
        parameters = found.convolution_param if name in convolutions else found.inner_product_param
        assert parameters.weight_filler.type == "gaussian"
        assert parameters.weight_filler.std == pytest.approx(stds[name], rel=1e-6)
        assert (parameters.bias_filler.type, parameters.bias_filler.value) == ("constant", name in ones)

    assert [layer(net, name).dropout_param.dropout_ratio for name in ("drop6", "drop7")] == [np.float32(0.7)] * 2
    train, test = net.layer[:2]
    assert [data.data_param.batch_size for data in (train, test)] == [30, 20]
    assert [data.transform_param.mirror for data in (train, test)] == [True, False]
    assert [data.transform_param.crop_size for data in (train, test)] == [224, 224]
    lrn = layer(net, "norm1").lrn_param
    assert (lrn.local_size, lrn.alpha, lrn.beta, lrn.k) == (5, np.float32(0.0005), 0.75, 1)


def test_the_solvers_are_the_same_authors_age_and_gender_solver():
    solver = committed("vgg_s", "solver_finetune.prototxt")
    found = [solver.base_lr, solver.gamma, solver.momentum, solver.weight_decay]
    np.testing.assert_allclose(found, [0.001, 0.1, 0.9, 0.0005], rtol=1e-6)
    assert (solver.lr_policy, solver.stepsize, solver.max_iter, solver.type) == ("step", 10000, 50000, "SGD")


@pytest.mark.parametrize(("net", "crop", "size"), [("vgg_s", 224, 256), ("vgg_s_small", 56, 64)])
def test_input_and_set_sizes(net, crop, size):
    for stage in nets.STAGES:
        train_val = committed(net, f"train_val_{stage}.prototxt")
        assert (crop_size(train_val), set_size(train_val)) == (crop, size)


def test_only_the_last_layer_is_named_anew_for_fine_tuning():
    """Caffe copies weights by the layer's name: what has another name starts anew."""
    first, second = (
        {found.name: found for found in committed("vgg_s", f"train_val_{stage}.prototxt").layer if found.param}
        for stage in nets.STAGES
    )
    assert first.keys() - second.keys() == {"fc8"}
    assert second.keys() - first.keys() == {"fc8_cat"}


# Every train_val in both phases, one forward of the small ones; every solver as Caffe's own messages read it.
LOAD = """
import json, sys, caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format
told = {}
for name in sys.argv[1:]:
    for phase, number in (("TRAIN", caffe.TRAIN), ("TEST", caffe.TEST)):
        net = caffe.Net(name + ".train_val", number)
        if "small" in name:
            net.forward()
        told[name + " " + phase] = {
            "blobs": {blob: list(net.blobs[blob].data.shape) for blob in net.blobs},
            "loss": float(net.blobs["loss"].data),
        }
        del net
    solver = text_format.Merge(open(name + ".solver").read(), caffe_pb2.SolverParameter())
    told[name] = [solver.net, solver.max_iter, solver.lr_policy]
open("told.json", "w").write(json.dumps(told))
"""


@pytest.fixture(scope="module")
def loaded(caffe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    for net, stage in STAGES:
        train_val = committed(net, f"train_val_{stage}.prototxt")
        lmdb, mean, size = folder / f"{net}_lmdb", folder / f"{net}.binaryproto", set_size(train_val)
        if not mean.exists():
            with LmdbWriter(lmdb) as writer:
                for k in range(2):
                    grey = np.full((size, size, 3), 90 * k, np.uint8)
                    writer.put(key(k, f"{k}.png"), encode(grey, k, "raw"))
                writer.commit()
                writer.write_mean(mean)
        use_set(train_val, {"TRAIN": str(lmdb), "TEST": str(lmdb)}, str(mean))
        for found in train_val.layer:  # half a gigabyte of Gaussian numbers takes seconds, and is not looked at
            if net == "vgg_s" and found.type == "InnerProduct":
                found.inner_product_param.weight_filler.type = "constant"
        (folder / f"{net}-{stage}.train_val").write_text(format_text(train_val))
        (folder / f"{net}-{stage}.solver").write_text(format_text(committed(net, f"solver_{stage}.prototxt")))
    env = {**os.environ, **caffe.environment, "GLOG_minloglevel": "2"}
    names = [f"{net}-{stage}" for net, stage in STAGES]
    done = subprocess.run([caffe.python, "-c", LOAD, *names], env=env, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "told.json").read_text())


@pytest.mark.caffe
@pytest.mark.parametrize(("net", "stage"), STAGES)
def test_every_train_val_and_solver_loads_in_caffe(loaded, net, stage):
    solver = committed(net, f"solver_{stage}.prototxt")
    assert loaded[f"{net}-{stage}"] == [f"train_val_{stage}.prototxt", solver.max_iter, "step"]
    crop = {"vgg_s": 224, "vgg_s_small": 56}[net]
    batch = {"vgg_s": {"pretrain": 50, "finetune": 30}, "vgg_s_small": {"pretrain": 30, "finetune": 30}}[net][stage]
    train, test = (loaded[f"{net}-{stage} {phase}"]["blobs"] for phase in ("TRAIN", "TEST"))
    assert train["data"] == [batch, 3, crop, crop]
    assert test["data"] == [20, 3, crop, crop]
    assert (train["fc8"], test["fc8"], test["loss"]) == ([batch, 7], [20, 7], [])
    assert "accuracy" in test
    assert "accuracy" not in train


@pytest.mark.caffe
def test_an_untrained_net_guesses(loaded):
    """Its loss is that of equal shares, ln 7 = 1.95, give or take what random weights do."""
    for stage in nets.STAGES:
        for phase in ("TRAIN", "TEST"):
            assert 1.5 < loaded[f"vgg_s_small-{stage} {phase}"]["loss"] < 3
