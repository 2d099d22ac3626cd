"""Weights for --from with the structures of published ImageNet nets and random numbers: the layers that are copied."""

import re

import h5py
import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import old_blob_of
from emotiw.prototxt.formats.messages import NetParameter, PackedNet, write_binary
from emotiw.prototxt.formats.upgrade import downgrade
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import classifiers, committed, deploy, use_classes
from emotiw.train.net_setup import fit

RANDOM = np.random.default_rng(0)


def imagenet(net, widths=()):
    """A net's deploy form for ImageNet's 1000 classes as published, optionally with other widths."""
    train_val: NetParameter = committed(net, "train_val_pretrain.prototxt")
    use_classes(train_val, 1000)
    for layer in train_val.layer:
        if layer.name in dict(widths):
            layer.inner_product_param.num_output = dict(widths)[layer.name]
    return train_val


def blobs(train_val):
    """Weights of a net's size, by layer; all numbers of a blob are equal, which is fast."""
    learned = shapes(train_val)[1]
    return {name: [np.full(shape, RANDOM.random(), np.float32) for shape in each] for name, each in learned.items()}


@pytest.fixture
def weights(tmp_path):
    """The folder for weights, which are large and are removed after each test."""
    path = tmp_path / "weights"
    yield path
    path.unlink()


def caffemodel(path, train_val):
    """Write a caffemodel with V1 layers, as in 2014."""
    v1 = downgrade(deploy(train_val))
    weights = PackedNet.FromString(v1.SerializeToString())
    found = blobs(train_val)
    for layer in weights.layers:
        layer.blobs.extend(map(old_blob_of, found.get(layer.name, [])))
    known = {layer.name for layer in weights.layers}
    for name in [name for name in found if name not in known]:  # auxiliary heads, which a deploy form lacks
        weights.layers.add(name=name, blobs=list(map(old_blob_of, found[name])))
    write_binary(path, weights)
    return path


def hdf5(path, train_val):
    """Write the same as HDF5; unwritten parts of a dataset have its fill value and take no space."""
    with h5py.File(path, "w") as file:
        for name, learned in shapes(train_val)[1].items():
            for number, shape in enumerate(learned):
                file.create_dataset(f"data/{name}/{number}", shape=shape, dtype="f4", fillvalue=RANDOM.random())
    return path


LARGE = pytest.param(caffemodel, marks=pytest.mark.slow)  # some hundred MB


@pytest.mark.parametrize(
    ("net", "copied", "write"),
    [
        ("googlenet", 61, caffemodel),
        ("googlenet", 61, hdf5),
        ("vgg_m_2048", 7, hdf5),
        ("vgg_m_4096", 7, hdf5),
        pytest.param("vgg_m_2048", 7, caffemodel, marks=pytest.mark.slow),
        pytest.param("vgg_m_4096", 7, caffemodel, marks=pytest.mark.slow),
    ],
)
def test_all_but_the_classifiers_is_copied(weights, net, copied, write):
    path = write(weights, imagenet(net))
    train_val: NetParameter = committed(net, "train_val_pretrain.prototxt")
    use_classes(train_val, 40)
    last = classifiers(train_val)
    copy = fit(train_val, path)
    assert len(copy.copied) == copied
    assert {name.removesuffix("_new") for name in copy.new} == set(copy.left) == last
    assert classifiers(train_val) == set(copy.new)


@pytest.mark.parametrize("write", [LARGE, hdf5])
def test_vgg_s_of_imagenet_is_wider_than_the_authors(weights, write):
    """Chatfield's has 4096 outputs in fc6 and fc7, the authors' 4048: it fits a user's own net of that width."""
    path = write(weights, imagenet("vgg_s", [("fc6", 4096), ("fc7", 4096)]))
    authors: NetParameter = committed("vgg_s", "train_val_pretrain.prototxt")
    with pytest.raises(EmotiwError) as caught:
        fit(authors, path)
    assert re.search(
        r"fc6 is (1x1x)?4096x25088 \+ \S+ in the weights, 4048x25088 \+ 4048 in the net", str(caught.value)
    )
    assert re.search(r"fc7 is (1x1x)?4096x4096", str(caught.value))
    assert "conv" not in str(caught.value)
    own = imagenet("vgg_s", [("fc6", 4096), ("fc7", 4096)])
    use_classes(own, 7)
    copy = fit(own, path)
    assert copy.copied == ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    assert (copy.new, copy.left) == (("fc8_new",), ("fc8",))


def test_invalid_weights_in_hdf5(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_dataset("images", data=[1])
    with pytest.raises(EmotiwError, match="no group `data` in it"):
        fit(committed("vgg_s_small", "train_val_pretrain.prototxt"), tmp_path / "other.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:200])
    with pytest.raises(EmotiwError, match="is no HDF5 file that can be read"):
        fit(committed("vgg_s_small", "train_val_pretrain.prototxt"), tmp_path / "cut.h5")


@pytest.mark.caffe
@pytest.mark.parametrize("engine", [[], ["--engine", "torch", "--gpu", "none"]], ids=["caffe", "torch"])
def test_both_engines_begin_with_hdf5(sets, runs, tmp_path, capsys, engine):
    from emotiw.__main__ import main
    from emotiw.prototxt.formats.blobs import read_weights

    known = read_weights(runs / "vgg_s_small-rgb/pretrain/model.caffemodel")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        for name, learned in known.items():
            for number, blob in enumerate(learned):
                file.create_dataset(f"data/{name}/{number}", data=blob)
    command = ["finetune", "vgg_s_small-rgb", "--set", str(sets / "expressions"), "-o", str(tmp_path / "runs")]
    rate = ["--solver", "base_lr: 1e-9", "--iterations", "1"]
    assert main([*command, "--from", str(tmp_path / "weights.h5"), *rate, *engine]) == 0
    assert "weights: 7 of the net's 8 layers copied\n" in capsys.readouterr().out
    made = read_weights(tmp_path / "runs/vgg_s_small-rgb/finetune/model.caffemodel")
    for name in ("conv1", "fc7"):
        np.testing.assert_allclose(made[name][0], known[name][0], atol=1e-6)
