"""Weights as HDF5: what either engine writes, the other reads."""

from subprocess import PIPE

import h5py
import numpy as np
import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.torch.graph import State, read_graph
from emotiw.engine.torch.hdf5 import copy_from_hdf5, write_hdf5
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 7 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "one" type: "InnerProduct" bottom: "conv" top: "one" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "two" type: "InnerProduct" bottom: "conv" top: "two" param { name: "w" } param { name: "own" }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }
"""
# The real Caffe reads our file, reports its blobs, and writes its own weights.
CAFFE = """
import caffe, numpy as np
def save(path, net):
    blobs = {"%s:%d" % (name, k): blob.data for name, blobs in net.params.items() for k, blob in enumerate(blobs)}
    np.savez(path, **blobs)
net = caffe.Net("net.prototxt", caffe.TEST)
net.load_hdf5("ours.h5")
save("answers.npz", net)
other = caffe.Net("net.prototxt", caffe.TEST)
save("others.npz", other)
other.save_hdf5("theirs.h5")
"""


def net_in(folder, text=NET, seed=0):
    (folder / "net.prototxt").write_text(text)
    return Net(read_graph(folder / "net.prototxt", State("TEST")), seed=seed)


def learned(net):
    return {f"{name}:{k}": blob.detach().numpy() for name, blobs in net.params.items() for k, blob in enumerate(blobs)}


def check(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert np.array_equal(found[name], array), name


@pytest.mark.caffe
def test_either_reads_what_the_other_wrote(caffe, tmp_path):
    ours = net_in(tmp_path)
    write_hdf5(tmp_path / "ours.h5", ours)
    with running(start(caffe, [caffe.python, "-c", CAFFE], tmp_path, stderr=PIPE)) as child:
        noise = child.communicate()[1].decode(errors="replace")
    assert child.returncode == 0, noise[-2000:]
    check(dict(np.load(tmp_path / "answers.npz")), learned(ours))
    copy_from_hdf5(ours, tmp_path / "theirs.h5")
    check(learned(ours), dict(np.load(tmp_path / "others.npz")))


def test_a_shared_blob_is_written_once(tmp_path):
    write_hdf5(tmp_path / "net.h5", net_in(tmp_path))
    with h5py.File(tmp_path / "net.h5") as file:
        assert {name: sorted(group) for name, group in file["data"].items()} == {
            "data": [], "conv": ["0", "1"], "relu": [], "one": ["0", "1"], "two": ["1"],
        }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            NET.replace("num_output: 4", "num_output: 6"),
            "layer 'conv': its blob 0 is (6, 3, 3, 3) there, not (4, 3, 3, 3)",
        ),
        (NET.replace("kernel_size: 3", "kernel_size: 3 bias_term: false"), "layer 'conv': its blob 1 is missing there"),
        (NET.replace('name: "w"', 'name: ""', 1), "layer 'two': its blob 0 is"),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path, text, words):
    if "layer 'two'" in words:  # the file has the shared blob once, the net needs two
        write_hdf5(tmp_path / "other.h5", net_in(tmp_path))
        net = net_in(tmp_path, text, seed=1)
        words = "layer 'two': its blob 0 is missing there"
    else:
        write_hdf5(tmp_path / "other.h5", net_in(tmp_path, text))
        net = net_in(tmp_path, seed=1)
    before = {name: array.copy() for name, array in learned(net).items()}
    with pytest.raises(EmotiwError) as caught:
        copy_from_hdf5(net, tmp_path / "other.h5")
    assert words in str(caught.value)
    check(learned(net), before)


def test_files_that_are_no_weights(tmp_path):
    net = net_in(tmp_path)
    (tmp_path / "text.h5").write_text("not HDF5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    for name, words in (
        ("none.h5", r"none\.h5: no such file"),
        ("text.h5", "is no HDF5 file that can be read"),
        ("empty.h5", "no group `data` in it"),
    ):
        with pytest.raises(EmotiwError, match=words):
            copy_from_hdf5(net, tmp_path / name)


def test_a_layers_name_may_begin_anothers(tmp_path):
    text = NET.replace('"one"', '"conv/one"').replace('"two"', '"conv/one/two"')
    net = net_in(tmp_path, text)
    write_hdf5(tmp_path / "net.h5", net)
    other = net_in(tmp_path, text, seed=1)
    copy_from_hdf5(other, tmp_path / "net.h5")
    check(learned(other), learned(net))
