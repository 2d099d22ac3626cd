import os
import subprocess

import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import array_of, blob_of, read_mean, read_weights, shape_of, write_mean
from emotiw.prototxt.formats.messages import BlobProto, NetParameter, PackedBlob, write_binary


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1,), (7, 3), (2, 3, 4, 5), (0, 3), (1, 2, 3, 4, 5)])
def test_an_array_comes_back_from_its_blob(shape):
    array = values(*shape)
    blob = BlobProto.FromString(blob_of(array).SerializeToString())
    assert shape_of(blob) == shape
    assert array_of(blob).dtype == np.float32
    np.testing.assert_array_equal(array_of(blob), array)


def test_a_blob_holds_the_numbers_that_protobuf_itself_reads():
    assert list(blob_of(np.array([[1, -0.5], [3, 2.25]], np.float32)).data) == [1, -0.5, 3, 2.25]


def test_an_array_in_another_memory_order_keeps_its_places():
    array = values(3, 4).T
    np.testing.assert_array_equal(array_of(blob_of(array)), array)


def test_the_old_four_fields_are_a_shape():
    blob = BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    np.testing.assert_array_equal(array_of(blob), [[[[0, 1, 2], [3, 4, 5]]]])


def test_double_precision_is_read():
    np.testing.assert_array_equal(array_of(BlobProto(shape={"dim": [2]}, double_data=[0.5, 4])), [0.5, 4])


@pytest.mark.parametrize("dims", [[4], [2, 2], [-1, -3], [2**32, 2**32], [0]])
def test_a_damaged_size_is_refused_with_its_place(dims):
    with pytest.raises(EmotiwError, match=r"^x\.caffemodel: fc8 of shape .* holds 3 values: damaged"):
        array_of(BlobProto(shape={"dim": dims}, data=[1, 2, 3]), "x.caffemodel: fc8")


def test_numbers_that_are_kept_as_bytes_are_the_same():
    for blob in (blob_of(values(2, 3)), BlobProto(shape={"dim": [2]}, double_data=[0.5, 4])):
        np.testing.assert_array_equal(array_of(PackedBlob.FromString(blob.SerializeToString())), array_of(blob))
    with pytest.raises(EmotiwError, match=r"^fc8 holds half a number: damaged"):
        array_of(PackedBlob(shape={"dim": [1]}, data=b"12345"), "fc8")


def test_layers_and_v1_layers_are_read_alike(tmp_path):
    weight, bias = values(2, 3, 1, 1), values(2)
    old = BlobProto(num=1, channels=1, height=1, width=2, data=bias)
    v1 = NetParameter(layers=[{"name": "conv1", "type": "CONVOLUTION", "blobs": [blob_of(weight), old]}, {"name": "r"}])
    new = NetParameter(layer=[{"name": "conv1", "type": "Convolution", "blobs": [blob_of(weight), blob_of(bias)]}])
    for name, net in (("v1", v1), ("new", new)):
        write_binary(tmp_path / name, net)
        read = read_weights(tmp_path / name)
        assert list(read) == ["conv1"]
        np.testing.assert_array_equal(read["conv1"][0], weight)
        np.testing.assert_array_equal(read["conv1"][1].ravel(), bias)


def test_a_mean_is_one_by_channels_by_height_by_width(tmp_path):
    write_mean(tmp_path / "mean.binaryproto", values(3, 4, 5))
    np.testing.assert_array_equal(read_mean(tmp_path / "mean.binaryproto"), values(3, 4, 5))
    blob = BlobProto.FromString((tmp_path / "mean.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width, blob.HasField("shape")) == (1, 3, 4, 5, False)


def test_an_invalid_mean_is_refused(tmp_path):
    for shape in ((2, 3, 4, 5), (7,), (1, 3, 0, 5)):
        write_binary(tmp_path / "mean.binaryproto", blob_of(values(*shape)))
        with pytest.raises(EmotiwError, match=r"mean\.binaryproto is not a mean image"):
            read_mean(tmp_path / "mean.binaryproto")
    (tmp_path / "mean.binaryproto").write_bytes(b"")
    with pytest.raises(EmotiwError, match="is not a mean image"):
        read_mean(tmp_path / "mean.binaryproto")


# pycaffe reads our mean, writes its own, and saves a net that was given in the V1 form.
PYCAFFE = """
import numpy as np, caffe
from caffe.proto import caffe_pb2
ours = caffe_pb2.BlobProto.FromString(open("ours.binaryproto", "rb").read())
np.save("read.npy", caffe.io.blobproto_to_array(ours))
open("theirs.binaryproto", "wb").write(caffe.io.array_to_blobproto(np.load("mean.npy")[None]).SerializeToString())
net = caffe.Net("v1.prototxt", "v1.caffemodel", caffe.TEST)
np.save("weight.npy", net.params["fc"][0].data)
net.save("saved.caffemodel")
"""
V1 = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 2 input_dim: 2
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" blobs_lr: 1 blobs_lr: 2
         inner_product_param { num_output: 4 } }
"""


@pytest.mark.caffe
def test_means_and_weights_pass_between_us_and_pycaffe(caffe, tmp_path):
    mean, weight, bias = values(3, 4, 5), values(4, 12), values(4)
    np.save(tmp_path / "mean.npy", mean)
    write_mean(tmp_path / "ours.binaryproto", mean)
    (tmp_path / "v1.prototxt").write_text(V1)
    layer = {"name": "fc", "type": "INNER_PRODUCT", "blobs": [blob_of(weight), blob_of(bias)]}
    write_binary(tmp_path / "v1.caffemodel", NetParameter(layers=[layer]))
    env = {**os.environ, **caffe.environment}
    done = subprocess.run([caffe.python, "-c", PYCAFFE], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), mean[None])
    np.testing.assert_array_equal(read_mean(tmp_path / "theirs.binaryproto"), mean)
    np.testing.assert_array_equal(np.load(tmp_path / "weight.npy"), weight)
    saved = read_weights(tmp_path / "saved.caffemodel")
    assert list(saved) == ["fc"]
    np.testing.assert_array_equal(saved["fc"][0], weight)
    np.testing.assert_array_equal(saved["fc"][1], bias)
