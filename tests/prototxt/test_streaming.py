import numpy as np
import pytest

from emotiw.prototxt.blobs import array_of, shape_of
from emotiw.prototxt.messages import NetParameter, message_class, read_binary
from emotiw.prototxt.streaming import _varint, write_v1


def test_what_is_streamed_is_what_protobuf_would_write(tmp_path):
    layers = [{"name": "a", "type": "CONVOLUTION", "bottom": ["x"]}, {"name": "b", "type": "RELU"}]
    random = np.random.default_rng(0)
    arrays = {"a": [random.normal(size=(5, 4, 3, 2)).astype("f4"), np.arange(200, dtype="f4")], "b": []}
    net = NetParameter(name="n", input=["x"], input_dim=[1, 2, 3, 4], layers=layers)
    write_v1(tmp_path / "net.caffemodel", net, arrays.__getitem__)
    weight, bias = arrays["a"]
    net.layers[0].blobs.add(num=5, channels=4, height=3, width=2, data=weight.ravel())
    net.layers[0].blobs.add(num=1, channels=1, height=1, width=200, data=bias)
    read = read_binary(tmp_path / "net.caffemodel", NetParameter)
    assert read == net
    assert [shape_of(blob) for blob in read.layers[0].blobs] == [(5, 4, 3, 2), (1, 1, 1, 200)]
    np.testing.assert_array_equal(array_of(read.layers[0].blobs[0]), weight)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31 - 1])
def test_numbers_are_written_as_protobuf_does(number):
    state = message_class("SolverState")(iter=number).SerializeToString()
    assert state[1:] == _varint(number)
