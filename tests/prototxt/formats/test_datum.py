import cv2
import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import Colour, parse, pixels
from emotiw.prototxt.formats.messages import Datum

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)  # H x W x C


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_datum_is_copied_from_foreign_memory(kind):
    planes = np.moveaxis(IMAGE, 2, 0)
    memory = bytearray(Datum(channels=3, height=2, width=4, data=planes.tobytes(), label=5).SerializeToString())
    datum = parse(bytes(memory) if kind is bytes else kind(memory))
    memory[:] = bytes(len(memory))  # as LMDB's pages are used again
    assert datum.label == 5
    np.testing.assert_array_equal(pixels(datum), planes)


def test_floats_and_a_picture():
    floats = Datum(channels=1, height=1, width=2, float_data=[0.5, -1])
    np.testing.assert_array_equal(pixels(floats), np.float32([[[0.5, -1]]]))
    picture = Datum(data=cv2.imencode(".png", IMAGE)[1].tobytes(), encoded=True)
    np.testing.assert_array_equal(pixels(picture, Colour.COLOUR), np.moveaxis(IMAGE, 2, 0))


def test_bytes_that_are_not_a_datum():
    with pytest.raises(EmotiwError, match=r"^it is not a Caffe Datum$"):
        parse(memoryview(b"\xff" * 9))
