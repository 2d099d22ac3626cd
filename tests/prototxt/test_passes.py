"""Every train_val forward and backward once in the real Caffe, on a tiny LMDB; every solver as Caffe reads it."""

import json
import math
import os
import subprocess

import numpy as np
import pytest

from emotiw.data_prep.lmdb_writer import LmdbWriter, key
from emotiw.prototxt.formats.datum import encode
from emotiw.prototxt.formats.messages import format_text
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import committed, loss_weight, set_size, use_set
from emotiw.prototxt.zoo.nets import NETS, STAGES

pytestmark = pytest.mark.caffe

PASS = """
import json, sys, numpy, caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format
reported = {}
for stage in sys.argv[1:]:
    solver = text_format.Merge(open(stage + ".solver").read(), caffe_pb2.SolverParameter())
    reported[stage] = {"solver": [solver.net, solver.max_iter, solver.lr_policy], "shapes": {}}
    for phase, number in (("TRAIN", caffe.TRAIN), ("TEST", caffe.TEST)):
        caffe.set_random_seed(2015)  # of fillers, dropout and crops
        net = caffe.Net(stage + ".train_val", number)
        reported[stage][phase] = {name: float(value) for name, value in net.forward().items()}
        if phase == "TRAIN":
            reported[stage]["shapes"] = {name: list(blob.data.shape) for name, blob in net.blobs.items()}
            net.backward()
            reported[stage]["gradients"] = {
                name: [float(numpy.abs(blob.diff).max()) for blob in blobs] for name, blobs in net.params.items()
            }
        del net
open("reported.json", "w").write(json.dumps(reported))
"""


@pytest.mark.parametrize("net", [pytest.param(n, marks=[] if "small" in n else [pytest.mark.slow]) for n in NETS])
def test_every_net_forward_and_backward(caffe, tmp_path, net):
    size = set_size(committed(net, "train_val_pretrain.prototxt"))
    with LmdbWriter(tmp_path / "lmdb") as writer:
        noise = [np.random.default_rng(k).integers(0, 256, (size, size, 3), np.uint8) for k in range(2)]
        writer.store((key(k, f"{k}.png"), encode(image, k, "raw")) for k, image in enumerate(noise))
        writer.write_mean(tmp_path / "mean.binaryproto")
    for stage in STAGES:
        train_val = committed(net, f"train_val_{stage}.prototxt")
        use_set(train_val, {"TRAIN": "lmdb", "TEST": "lmdb"}, "mean.binaryproto")
        for data in train_val.layer[:2]:
            data.data_param.batch_size = 2
        (tmp_path / f"{stage}.train_val").write_text(format_text(train_val))
        (tmp_path / f"{stage}.solver").write_text(format_text(committed(net, f"solver_{stage}.prototxt")))
    env = {**os.environ, **caffe.environment, "GLOG_minloglevel": "2"}
    done = subprocess.run([caffe.python, "-c", PASS, *STAGES], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reported = json.loads((tmp_path / "reported.json").read_text())

    heads = {"loss1/loss1", "loss2/loss1", "loss3/loss3"} if "googlenet" in net else {"loss"}
    accuracies = {"loss1/top-1", "loss2/top-1", "loss3/top-1"} if "googlenet" in net else {"accuracy"}
    for stage in STAGES:
        solver = committed(net, f"solver_{stage}.prototxt")
        assert reported[stage]["solver"] == [f"train_val_{stage}.prototxt", solver.max_iter, solver.lr_policy]
        assert reported[stage]["TRAIN"].keys() == heads
        assert reported[stage]["TEST"].keys() == heads | accuracies
        # Our nets start by guessing: a loss of about ln 7 = 1.95 for each head, up to the effect of random weights.
        if NETS[net].preset != "paper":
            assert all(1.5 < reported[stage][phase][head] < 3 for head in heads for phase in ("TRAIN", "TEST"))
        # Every blob of the training net, including auxiliary heads; Caffe splits blobs that several layers read.
        found = {blob: tuple(shape) for blob, shape in reported[stage]["shapes"].items() if "_split_" not in blob}
        train_val = committed(net, f"train_val_{stage}.prototxt")
        train_val.layer[0].data_param.batch_size = 2
        assert found == shapes(train_val)[0]
        gradients = reported[stage]["gradients"]
        learned = {layer.name for layer in committed(net, f"train_val_{stage}.prototxt").layer if layer.param}
        assert gradients.keys() == learned
        assert all(math.isfinite(value) for values in gradients.values() for value in values)
        # The losses reach the first layer and every last one.
        first = "conv1/7x7_s2" if "googlenet" in net else "conv1"
        assert gradients[first][0] > 0
        assert all(gradients[layer][1] > 0 for layer in learned if "classifier" in layer or "fc8" in layer)
    assert loss_weight(committed(net, "train_val_finetune.prototxt")) == pytest.approx(1 + 0.3 * (len(heads) - 1))
