import re
import subprocess

import numpy as np
import pytest

from emotiw.engine.caffe import scorer as scores_module
from emotiw.engine.caffe.info import about
from emotiw.engine.caffe.programs import start
from emotiw.engine.caffe.scorer import CaffeScorer
from emotiw.engine.child_process import running
from emotiw.errors import EmotiwError

pytestmark = pytest.mark.caffe

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" include { phase: TRAIN } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

# pycaffe itself: saves random weights, and its scores of each image, one by one.
DIRECT = """
import sys, numpy as np, caffe
net = caffe.Net("net.prototxt", caffe.TEST)
net.save("net.caffemodel")
rows = []
for image in np.load("images.npy"):
    net.blobs["data"].data[0] = image
    rows.append(net.forward()["prob"][0].copy())
np.save("rows.npy", rows)
"""


@pytest.fixture(scope="module")
def tiny(caffe, tmp_path_factory):
    """A folder with a net, weights, 23 images and pycaffe's own scores of them."""
    folder = tmp_path_factory.mktemp("tiny net")
    (folder / "net.prototxt").write_text(NET)
    np.save(folder / "images.npy", np.random.default_rng(0).normal(size=(23, 3, 8, 9)).astype(np.float32))
    with running(start(caffe, [caffe.python, "-c", DIRECT], folder, stderr=subprocess.DEVNULL)) as child:
        assert child.wait() == 0
    return folder


def test_scores_are_pycaffes(engine, scores, tiny):
    images, rows = np.load(tiny / "images.npy"), np.load(tiny / "rows.npy")
    found = scores(engine, tiny / "net.prototxt", tiny / "net.caffemodel", images)
    assert found.shape == (23, 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert np.ptp(rows, axis=0).max() > 0.01  # the images do differ


def test_batches_of_any_size_and_memory_order(caffe, tiny):
    images, rows = np.load(tiny / "images.npy"), np.load(tiny / "rows.npy")
    with CaffeScorer(caffe, tiny / "net.prototxt", tiny / "net.caffemodel") as scorer:
        for first, last in ((0, 1), (1, 6), (6, 7), (7, 23)):
            batch = np.asfortranarray(images[first:last])
            np.testing.assert_allclose(scorer.scores(batch), rows[first:last], rtol=0, atol=1e-6)


def test_any_blob_can_be_asked_for(caffe, tiny):
    images, rows = np.load(tiny / "images.npy"), np.load(tiny / "rows.npy")
    with CaffeScorer(caffe, tiny / "net.prototxt", tiny / "net.caffemodel", output="fc") as scorer:
        logits = scorer.scores(images)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, rows, rtol=0, atol=1e-6)
    with CaffeScorer(caffe, tiny / "net.prototxt", tiny / "net.caffemodel", output="pool") as scorer:
        assert scorer.scores(images[:2]).shape == (2, 4 * 3 * 3)


def test_what_caffe_prints_stays_off_the_answers(engine, scores, tiny, monkeypatch, capfd):
    monkeypatch.setenv("GLOG_minloglevel", "0")
    monkeypatch.setenv("GLOG_logtostderr", "1")
    rows = np.load(tiny / "rows.npy")
    found = scores(engine, tiny / "net.prototxt", tiny / "net.caffemodel", np.load(tiny / "images.npy")[:1])
    np.testing.assert_allclose(found, rows[:1], rtol=0, atol=1e-6)
    assert capfd.readouterr() == ("", "")


def refusal(caffe, folder, batch=(1, 3, 8, 9), **kwargs):
    with (
        pytest.raises(EmotiwError) as caught,
        CaffeScorer(caffe, **{"net": folder / "net.prototxt", **kwargs}) as scorer,
    ):
        scorer.scores(np.zeros(batch, np.float32))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_caffes_own_message_in_an_error(caffe, tiny, tmp_path):
    weights = tiny / "net.caffemodel"
    prefix = f"{tiny / 'net.prototxt'}: Caffe stopped: "
    assert refusal(caffe, tiny, (2, 3, 20, 20), weights=weights).startswith(
        prefix + "Check failed: K_ == new_K (36 vs. 324) Input size incompatible with inner product parameters."
    )
    assert "Check failed" in refusal(caffe, tiny, (1, 4, 8, 9), weights=weights)
    assert refusal(caffe, tiny, weights=weights, output="prop") == (
        prefix + "no blob prop in this net: it has data, conv, pool, fc, prob"
    )
    (tmp_path / "net.prototxt").write_text(NET.replace("pooling_param", "poling_param"))
    assert 'has no field named "poling_param"' in refusal(caffe, tmp_path, weights=weights)
    (tmp_path / "broken.caffemodel").write_bytes(b"\x0a\xff")
    assert "broken.caffemodel" in refusal(caffe, tiny, weights=tmp_path / "broken.caffemodel")


def test_a_killed_worker_is_one_line(caffe, tiny):
    with CaffeScorer(caffe, tiny / "net.prototxt", tiny / "net.caffemodel") as scorer:
        scorer.scores(np.zeros((1, 3, 8, 9), np.float32))
        scorer._worker.kill()
        with pytest.raises(EmotiwError, match=r"Caffe stopped: killed by signal 9 \(SIGKILL\), perhaps by the kernel"):
            scorer.scores(np.zeros((500, 3, 8, 9), np.float32))


def test_the_worker_has_ended_with_its_block(caffe, tiny):
    with CaffeScorer(caffe, tiny / "net.prototxt", tiny / "net.caffemodel") as scorer:
        scorer.scores(np.zeros((1, 3, 8, 9), np.float32))
    assert scorer._worker.returncode is not None


def test_missing_files_and_wrong_batches_are_refused(caffe, tiny):
    with pytest.raises(EmotiwError, match=r"none\.caffemodel: no such file"):
        CaffeScorer(caffe, tiny / "net.prototxt", tiny / "none.caffemodel")
    with CaffeScorer(caffe, tiny / "net.prototxt", tiny / "net.caffemodel") as scorer:
        for shape in ((3, 8, 9), (0, 3, 8, 9)):
            with pytest.raises(ValueError, match="a batch is N x channels x H x W"):
                scorer.scores(np.zeros(shape, np.float32))


def test_describe(describe, tiny):
    reported = describe(tiny / "net.prototxt")
    assert reported["layers"] == ["data", "conv", "pool", "fc", "prob"]
    assert reported["types"] == ["Input", "Convolution", "Pooling", "InnerProduct", "Softmax"]
    assert reported["blobs"] == {
        "data": [1, 3, 8, 9],
        "conv": [1, 4, 6, 7],
        "pool": [1, 4, 3, 3],  # ceil((7 - 3) / 2) + 1 = 3, and ceil((6 - 3) / 2) + 1 = 3
        "fc": [1, 7],
        "prob": [1, 7],
    }
    assert reported["params"] == {"conv": [[4, 3, 3, 3], [4]], "fc": [[7, 36], [7]]}
    assert reported["parameters"] == 4 * 27 + 4 + 7 * 36 + 7
    assert (reported["inputs"], reported["outputs"]) == (["data"], ["prob"])


def test_describe_of_the_training_phase_with_weights(describe, tiny):
    reported = describe(tiny / "net.prototxt", tiny / "net.caffemodel", phase="TRAIN")
    assert reported["layers"] == ["data", "conv", "pool", "drop", "fc", "prob"]
    with pytest.raises(EmotiwError, match=r"net\.prototxt: Caffe stopped: .*none\.caffemodel"):
        describe(tiny / "net.prototxt", tiny / "none.caffemodel")


def test_about(caffe):
    rows = about(caffe)
    heads = ["program", "found by", "version", "Python", "numpy", "BLAS", "its kernels", "device", "layer types"]
    assert list(rows) == heads
    assert rows["version"].startswith("1.")
    assert int(rows["layer types"]) > 40


def test_the_worker_is_python_2_and_3():
    """A cheap check, because no Python 2 is available: syntax of one version only is refused."""
    text = scores_module.WORKER.read_text()
    assert "from __future__ import print_function" in text
    assert not re.search(r'\bf"', text)
    for word in (" -> ", "nonlocal ", "import emotiw", "pathlib", "pickle=True"):
        assert word not in text
