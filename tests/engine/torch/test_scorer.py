"""Scores of a caffemodel: the real Caffe's Scorer and ours."""

import numpy as np
import pytest
import torch

from emotiw.engine.caffe.scorer import CaffeScorer
from emotiw.engine.inference import posteriors
from emotiw.engine.preprocessing import net_inputs
from emotiw.engine.torch.engine import TorchEngine
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.engine.torch.scorer import TorchScorer
from emotiw.engine.torch.weights import write_weights
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import format_text
from emotiw.prototxt.surgery import committed
from emotiw.prototxt.zoo.nets import NETS

from .conftest import pixels_as_seen

SMALL = [name for name in NETS if "small" in name]


def deploy_of(name, folder):
    """Write a net's deploy.prototxt and weights that let every layer speak; return both paths, and its input's side."""
    proto = committed(name, "deploy.prototxt")
    net, generator = Net(graph_of(proto, State("TEST"))), torch.Generator().manual_seed(len(name))
    for layer, blobs in net.params.items():
        scale = np.sqrt(2 / blobs[0][0].numel()) / (pixels_as_seen(net) if layer.startswith("conv1") else 1)
        for blob, spread in zip(blobs, (scale, 0.01), strict=False):
            blob.data.normal_(0, spread, generator=generator)
    (folder / "deploy.prototxt").write_text(format_text(proto))
    write_weights(folder / "net.caffemodel", net)
    return folder / "deploy.prototxt", folder / "net.caffemodel", net.shapes["data"][-1]


def faces(count, side, seed=0):
    """Coarse patterns, which deep nets tell apart better than noise."""
    coarse = 80 * np.random.default_rng(seed).standard_normal((count, 3, 4, 4))
    return np.kron(coarse, np.ones((side // 4 + 1,) * 2))[..., :side, :side].astype(np.float32)


@pytest.mark.caffe
@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(n, marks=pytest.mark.slow) for n in NETS if n not in SMALL)])
def test_scores_are_caffes(engine, scores, tmp_path, name):
    net, weights, side = deploy_of(name, tmp_path)
    images = faces(23 if name in SMALL else 3, side)
    ours, theirs = scores(TorchEngine(gpu="none"), net, weights, images), scores(engine, net, weights, images)
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert np.ptp(theirs, axis=0).max() > 0.01  # the images do differ


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return deploy_of("vgg_s_small", tmp_path_factory.mktemp("tiny"))


@pytest.mark.caffe
def test_either_scorer_gives_posteriors(caffe, tiny):
    net, weights, side = tiny
    images = np.random.default_rng(0).integers(0, 256, (13, 3, side + 8, side + 8), np.uint8)
    mean = np.full((3, side, side), 128, np.float32)
    with TorchScorer(net, weights) as ours, CaffeScorer(caffe, net, weights) as theirs:
        for crops in (1, 10):
            inputs = [(None, [net_inputs(image, mean, crops)]) for image in images]
            found, wanted = (
                [row for _, (row,) in posteriors([scorer.scores], inputs, crops)] for scorer in (ours, theirs)
            )
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.caffe
def test_any_blob_can_be_asked_for(caffe, tiny):
    net, weights, side = tiny
    images = faces(2, side)
    for blob in ("conv1", "pool5", "fc6", None):
        with TorchScorer(net, weights, blob) as ours, CaffeScorer(caffe, net, weights, blob) as theirs:
            found, wanted = ours.scores(images), theirs.scores(images)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_batches_of_any_size_and_memory_order(tiny):
    net, weights, side = tiny
    images = faces(9, side)
    with TorchScorer(net, weights) as scorer:
        rows = scorer.scores(images)
        kept = rows.copy()
        for first, last in ((0, 1), (1, 6), (6, 9)):
            batch = np.asfortranarray(images[first:last])
            np.testing.assert_allclose(scorer.scores(batch), rows[first:last], rtol=0, atol=1e-5)
        assert np.array_equal(rows, kept)  # an answer is the user's own


def refusal(net, weights, batch=(1, 3, 56, 56), **kwargs):
    with pytest.raises(EmotiwError) as caught, TorchScorer(net, weights, **kwargs) as scorer:
        scorer.scores(np.zeros(batch, np.float32))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_does_not_fit_is_refused_in_a_line(tiny, tmp_path):
    net, weights, _ = tiny
    assert refusal(net, tmp_path / "none") == f"{tmp_path / 'none'}: no such file"
    assert refusal(net, weights, output="prop").startswith(f"{net}: no blob prop in this net: it has data, conv1, ")
    (tmp_path / "broken").write_bytes(b"\x0a\xff")
    assert "broken is not a complete NetParameter" in refusal(net, tmp_path / "broken")
    assert "layer 'fc6' (InnerProduct): it has weights for 512 inputs, not 1152" in refusal(
        net, weights, (2, 3, 90, 90)
    )
    for shape in ((2, 4, 56, 56), (2, 3, 1, 1)):
        assert refusal(net, weights, shape).startswith(f"{net}:15: layer 'conv1' (Convolution): ")
    with TorchScorer(net, weights) as scorer:
        for shape in ((3, 8, 9), (0, 3, 8, 9)):
            with pytest.raises(ValueError, match="a batch is N x channels x H x W"):
                scorer.scores(np.zeros(shape, np.float32))
    train_val = tmp_path / "train_val.prototxt"
    train_val.write_text(format_text(committed("vgg_s_small", "train_val_finetune.prototxt")))
    assert "it has no source of data" in refusal(train_val, weights)
    (tmp_path / "two.prototxt").write_text('input: "a" input: "b" input_shape { dim: 1 } input_shape { dim: 1 }')
    assert "it takes one input, not 2: is it a deploy.prototxt?" in refusal(tmp_path / "two.prototxt", weights)


@pytest.mark.gpu
def test_a_gpu_scores_alike(scores, tiny):
    net, weights, side = tiny
    images = faces(9, side)
    np.testing.assert_allclose(
        scores(TorchEngine(), net, weights, images),
        scores(TorchEngine("none"), net, weights, images),
        rtol=0,
        atol=1e-5,
    )
