"""Crops, mean and averaging; tests/evaluate holds the whole against pycaffe's own Classifier."""

import numpy as np
import pytest

from emotiw.engine import preprocessing
from emotiw.engine.base import DivergedError
from emotiw.engine.inference import NotFiniteError, posteriors
from emotiw.engine.preprocessing import crop_offsets, net_inputs


def test_crops_by_hand():
    assert crop_offsets(64, 56, 1) == [(4, 4, False)]
    assert crop_offsets(5, 2, 1) == [(1, 1, False)]  # floor((5 - 2) / 2), as Caffe's data layer
    corners = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    assert crop_offsets(64, 56, 10) == [(*c, False) for c in corners] + [(*c, True) for c in corners]


def test_an_input_by_hand():
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3).repeat(3, axis=0) * 10
    mean = np.full((3, 3, 3), 1, np.float32)
    mean[:, 0, 0] = 5
    # The 2 x 2 centre crop is at floor(1 / 2) = 0; the mean's corner takes part in every crop alike.
    (centre,) = net_inputs(image, mean[:, :2, :2])
    assert centre[0].tolist() == [[0 - 5, 10 - 1], [30 - 1, 40 - 1]]
    ten = net_inputs(image, mean[:, :2, :2], 10)
    assert ten.shape == (10, 3, 2, 2)
    assert ten.dtype == np.float32
    assert ten[3, 0].tolist() == [[40 - 5, 50 - 1], [70 - 1, 80 - 1]]  # bottom right
    assert ten[5, 0].tolist() == [[10 - 5, 0 - 1], [40 - 1, 30 - 1]]  # top left, mirrored; the mean is not


def forward(blob):
    """Posteriors that depend on every pixel's place."""
    weights = np.random.default_rng(1).normal(size=(blob[0].size, 4)) / 100
    logits = np.exp(blob.reshape(len(blob), -1) @ weights)
    return (logits / logits.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (43, 3, 9, 9), np.uint8)


MEAN = np.random.default_rng(2).uniform(100, 150, (3, 7, 7)).astype(np.float32)


def scored(images, crops=1, net=forward):
    """The posteriors of images by one net, (N, C)."""
    inputs = ((None, [net_inputs(image, MEAN, crops)]) for image in images)
    return np.array([row for _, (row,) in posteriors([net], inputs, crops)])


@pytest.mark.parametrize("crops", [1, 10])
def test_batches_change_nothing(images, crops):
    found = scored(images, crops)
    alone = [forward(net_inputs(image, MEAN, crops)).astype(np.float64).mean(axis=0) for image in images]
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert np.ptp(found, axis=0).min() > 0.01


def test_the_order_of_the_crops_changes_nothing(images, monkeypatch):
    before = scored(images, 10)
    monkeypatch.setattr(preprocessing, "crop_offsets", lambda *args: crop_offsets(*args)[::-1])
    after = scored(images, 10)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-7)


def test_memory_is_flat(images):
    """No more images are taken than a batch needs before the first answer comes."""
    taken = []
    inputs = ((taken.append(0), [net_inputs(image, MEAN)]) for image in [*images] * 10)
    next(posteriors([forward], inputs))
    assert len(taken) <= 40


@pytest.mark.parametrize(("crops", "batch", "sizes"), [(1, 40, [40, 3]), (10, 40, [40, 40]), (10, 10, [10] * 8)])
def test_a_batch_is_of_so_many_inputs(images, crops, batch, sizes):
    seen = []

    def net(blob):
        seen.append(len(blob))
        return forward(blob)

    some = images[: sum(sizes) // crops]
    assert len(list(posteriors([net], ((None, [net_inputs(image, MEAN, crops)]) for image in some), crops, batch))) > 0
    assert seen == sizes


def test_nets_get_their_inputs_and_images_keep_positions(images):
    other = MEAN[:, :5, :5]
    given = [(name, [net_inputs(image, mean) for mean in (MEAN, other)]) for name, image in enumerate(images[:7])]
    given[2:2] = [("nothing", []), ("nothing either", [])]
    found = dict(posteriors([forward, forward], given, batch=4))
    assert list(found) == [key for key, _ in given]
    assert [len(rows) for rows in found.values()] == [2, 2, 0, 0, 2, 2, 2, 2, 2]
    for key, inputs in given:
        for row, blob in zip(found[key], inputs, strict=False):
            np.testing.assert_allclose(row, forward(blob)[0], rtol=0, atol=1e-7)
    assert list(posteriors([forward], [])) == []


def test_a_nan_score_raises(images):
    def nan(blob):
        scores = forward(blob)
        scores[0, 0] = np.nan
        return scores

    with pytest.raises(DivergedError, match="not numbers"):
        scored(images, net=nan)
    with pytest.raises(NotFiniteError) as caught:
        list(posteriors([forward, nan], [(None, [net_inputs(images[0], MEAN)] * 2)]))
    assert caught.value.net == 1


def test_an_image_smaller_than_the_input_raises(images):
    with pytest.raises(ValueError, match="too small"):
        scored(images[:, :, 3:, 3:])
