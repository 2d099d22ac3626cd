import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import blob_of
from emotiw.prototxt.formats.messages import BlobProto, NetParameter, format_text, write_binary
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import committed
from emotiw.prototxt.weight_transfer import compare


def weights(**layers):
    """A caffemodel with layers of zeros, name to shapes."""
    return NetParameter(
        layer=[
            {"name": name, "blobs": [blob_of(np.zeros(shape, np.float32)) for shape in blobs]}
            for name, blobs in layers.items()
        ]
    )


PARAMS = {"conv1": [(8, 3, 7, 7), (8,)], "fc7": [(16, 32), (16,)], "fc8_cat": [(7, 16), (7,)]}


def test_copied_new_and_ignored_layers():
    source = weights(conv1=[(8, 3, 7, 7), (8,)], fc7=[(16, 32), (16,)], fc8=[(1000, 16), (1000,)])
    source.layer.add(name="relu1", type="ReLU")  # has no learned blobs
    copy = compare(source, PARAMS)
    assert (copy.copied, copy.new, copy.left, copy.misfits) == (("conv1", "fc7"), ("fc8_cat",), ("fc8",), {})
    assert copy.lines() == [
        "weights: 2 of the net's 3 layers copied",
        "  fc8_cat: not in the weights, starts from its filler",
        "  fc8: not in the net, ignored",
    ]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([(1000, 16), (1000,)], "1000x16 + 1000 in the weights, 7x16 + 7 in the net"),
        ([(7, 16)], "7x16 in the weights, 7x16 + 7 in the net"),
        ([(16, 7), (7,)], "16x7 + 7 in the weights, 7x16 + 7 in the net"),
        ([(1, 1, 7, 16), (7,)], "1x1x7x16 + 7 in the weights, 7x16 + 7 in the net"),
    ],
)
def test_a_misfit_in_words(shape, words):
    copy = compare(weights(conv1=PARAMS["conv1"], fc8_cat=shape), PARAMS)
    assert (copy.copied, copy.new, copy.misfits) == (("conv1",), ("fc7",), {"fc8_cat": words})
    assert copy.lines()[-1] == f"  fc8_cat: {words}"


def test_another_number_of_blobs_is_a_misfit_even_if_it_is_none():
    source = weights(conv1=[], relu1=[(7,)])
    copy = compare(source, {"conv1": [(8,)], "relu1": [], "pool1": []})
    assert (copy.copied, copy.new, copy.left) == ((), (), ())
    assert copy.misfits == {
        "conv1": "no blobs in the weights, 8 in the net",
        "relu1": "7 in the weights, no blobs in the net",
    }


def test_the_old_four_fields_fit_what_they_stand_for():
    """In files of 2014, such as the authors', a fully connected layer is 1 x 1 x N x K."""
    old = [BlobProto(num=1, channels=1, height=7, width=16), BlobProto(num=1, channels=1, height=1, width=7)]
    for net in (NetParameter(layers=[{"name": "fc8_cat", "blobs": old}]),):
        assert compare(net, PARAMS).copied == ("fc8_cat",)
    old[0].height, old[0].width = 16, 7
    assert compare(NetParameter(layers=[{"name": "fc8_cat", "blobs": old}]), PARAMS).misfits


@pytest.mark.caffe
@pytest.mark.parametrize(
    "changed",
    [{}, {"fc8_cat": [(1000, 128), (1000,)]}, {"fc8_cat": [(1, 1, 7, 128), (7,)]}, {"fc8_cat": [(7, 128)]}],
)
def test_caffe_aborts_at_the_predicted_misfits(describe, tmp_path, changed):
    """Weights of vgg_m_2048_small, with a fitting or a misfitting last layer."""
    deploy = committed("vgg_m_2048_small", "deploy.prototxt")
    params = shapes(deploy)[1]
    source = weights(**{**params, **changed})
    (tmp_path / "deploy.prototxt").write_text(format_text(deploy))
    write_binary(tmp_path / "w.caffemodel", source)
    misfits = compare(source, params).misfits
    assert misfits.keys() == changed.keys()
    if misfits:
        with pytest.raises(EmotiwError, match="fc8_cat"):
            describe(tmp_path / "deploy.prototxt", tmp_path / "w.caffemodel")
    else:
        describe(tmp_path / "deploy.prototxt", tmp_path / "w.caffemodel")
