"""Resize and mean by hand; tests/evaluate holds them against pycaffe itself."""

from subprocess import PIPE

import numpy as np
import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.preprocessing import MEAN_RULES, net_inputs, resize
from emotiw.engine.settings import MEANS
from emotiw.prototxt.formats.blobs import read_mean, write_mean

# What forums advise, and Caffe's example of classification does: the mean's average as the mean of `caffe.Classifier`.
TRANSFORM = """
import sys
import numpy as np
import caffe
blob = caffe.io.caffe_pb2.BlobProto.FromString(open("mean.binaryproto", "rb").read())
mean = caffe.io.blobproto_to_array(blob)[0].mean(1).mean(1)
images = np.load("images.npy")
transformer = caffe.io.Transformer({"data": (1, 3) + images.shape[1:3]})
transformer.set_transpose("data", (2, 0, 1))
transformer.set_mean("data", mean)
transformer.set_channel_swap("data", (2, 1, 0))
np.save("inputs.npy", [transformer.preprocess("data", image) for image in images])
transformer.set_input_scale("data", 0.0078125)
np.save("scaled.npy", [transformer.preprocess("data", image) for image in images])
"""


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_picture_of_the_size_stays_as_it_is():
    rgb = picture(16, 16)
    np.testing.assert_allclose(resize(rgb, 16), rgb, rtol=0, atol=1e-4)


def test_an_enlarged_picture_darkens_only_at_its_border():
    """For 2 -> 4, the first centre is a quarter of a pixel outside, where all is black: 3 / 4 x 3 / 4 of the value."""
    rgb = np.full((2, 2, 3), 200, np.uint8)
    rgb[0, 0] = 0  # the darkest value counts as black, because pycaffe stretches to [0, 1] first
    large = resize(rgb, 4)
    assert large.dtype == np.float32
    assert large[3, 3].tolist() == pytest.approx([200 * 0.75 * 0.75] * 3)
    assert large[2, 2].tolist() == pytest.approx([200 * (1 - 0.25 * 0.25)] * 3)
    assert large[0, 0].tolist() == [0, 0, 0]


def test_one_colour_is_unchanged_up_to_the_border():
    assert np.unique(resize(np.full((5, 7, 3), 80, np.uint8), 9)) == pytest.approx(80)


def test_the_mean_is_cropped_or_made_smaller():
    mean = np.arange(3 * 8 * 8, dtype=np.float32).reshape(3, 8, 8)
    np.testing.assert_array_equal(MEAN_RULES["crop"](mean, 4), mean[:, 2:6, 2:6])
    smaller = MEAN_RULES["resize"](mean, 4)
    assert smaller.shape == (3, 4, 4)
    assert abs(smaller[1, 1:3, 1:3].mean() - mean[1].mean()) < 1e-3  # its centre stays in place
    np.testing.assert_array_equal(MEAN_RULES["resize"](mean, 8), mean)
    np.testing.assert_array_equal(MEAN_RULES["resize"](np.full((3, 8, 8), 7, np.float32), 4), np.full((3, 4, 4), 7))


def test_the_mean_is_one_number_for_each_channel():
    assert tuple(MEAN_RULES) == MEANS
    mean = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    found = MEAN_RULES["channel"](mean, 1)
    assert found.tolist() == [[[1.5]], [[5.5]], [[9.5]]]
    assert found.dtype == np.float64
    inputs = net_inputs(np.full((3, 2, 2), 9, np.uint8), found)
    assert inputs.dtype == np.float32
    assert inputs.tolist() == [[[[7.5]], [[3.5]], [[-0.5]]]]


@pytest.mark.caffe
def test_one_number_for_each_channel_is_pycaffes_input_to_the_bit(caffe, tmp_path):
    random = np.random.default_rng(0)
    write_mean(tmp_path / "mean.binaryproto", random.uniform(60, 180, (3, 64, 64)).astype(np.float32))
    images = random.uniform(0, 255, (4, 56, 56, 3)).astype(np.float32)
    images[:2] = images[:2].round()  # as decoded; the others, as resized
    np.save(tmp_path / "images.npy", images)
    with running(start(caffe, [caffe.python, "-c", TRANSFORM], tmp_path, stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    mean = MEAN_RULES["channel"](read_mean(tmp_path / "mean.binaryproto"), 56)
    planes = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
    for name, scale in (("inputs", 1), ("scaled", 0.0078125)):
        ours = np.concatenate([net_inputs(image, mean, scale=scale) for image in planes])
        theirs = np.load(tmp_path / f"{name}.npy")
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))
    # Rounded before it is subtracted, the mean gives other bits.
    assert (planes - mean.astype(np.float32) != np.load(tmp_path / "inputs.npy")).any()
