"""Initial weights: bounds and moments by hand; where nothing is drawn, the real Caffe's values."""

import math

import numpy as np
import pytest
import torch

from emotiw.engine.torch.fillers import FILLERS, fill
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.layer_parameters import FillerParameter
from emotiw.prototxt.formats.messages import parse_text

SHAPE = (40, 30, 5, 4)  # fan in 600, fan out 800, their average 700


def filled(text, shape=SHAPE, seed=0):
    return fill(parse_text(text, FillerParameter, "filler"), shape, torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ('type: "uniform"', 0, 1),
        ('type: "uniform" min: -2 max: 3', -2, 3),
        ('type: "xavier"', -math.sqrt(3 / 600), math.sqrt(3 / 600)),
        ('type: "xavier" variance_norm: FAN_OUT', -math.sqrt(3 / 800), math.sqrt(3 / 800)),
        ('type: "xavier" variance_norm: AVERAGE', -math.sqrt(3 / 700), math.sqrt(3 / 700)),
    ],
)
def test_uniform_ones_fill_their_bounds(text, low, high):
    values, width = filled(text), high - low
    assert values.dtype == np.float32
    assert low <= values.min() < low + 0.01 * width
    assert high - 0.01 * width < values.max() <= high
    assert values.mean() == pytest.approx((low + high) / 2, abs=0.01 * width)
    assert values.std() == pytest.approx(width / math.sqrt(12), rel=0.01)


@pytest.mark.parametrize(
    ("text", "mean", "std"),
    [
        ('type: "gaussian"', 0, 1),
        ('type: "gaussian" mean: 3 std: 0.5', 3, 0.5),
        ('type: "msra"', 0, math.sqrt(2 / 600)),
        ('type: "msra" variance_norm: FAN_OUT', 0, math.sqrt(2 / 800)),
        ('type: "msra" variance_norm: AVERAGE', 0, math.sqrt(2 / 700)),
    ],
)
def test_normal_ones_have_their_moments(text, mean, std):
    values = filled(text)
    assert values.mean() == pytest.approx(mean, abs=0.03 * std)
    assert values.std() == pytest.approx(std, rel=0.02)
    assert np.abs(values - mean).max() > 3 * std


def test_constant_is_zero_unless_said_otherwise():
    assert not filled("").any()
    assert (filled("value: -1.5") == -1.5).all()


def test_sparse_is_how_many_inputs_an_output_has():
    values = filled('type: "gaussian" sparse: 10', (100, 500))
    assert (values != 0).mean() == pytest.approx(0.1, abs=0.01)
    assert values[values != 0].std() == pytest.approx(1, abs=0.05)


def test_positive_unitball_weights_add_up_to_one():
    values = filled('type: "positive_unitball"', (7, 3, 4, 5))
    assert values.min() >= 0
    assert values.reshape(7, -1).sum(axis=1) == pytest.approx(1, rel=1e-6)


def test_fans_of_a_blob_of_one_axis():
    assert filled('type: "xavier" variance_norm: FAN_OUT', (300,)).max() == pytest.approx(0.1, rel=0.02)
    assert filled('type: "xavier"', (300,)).max() == pytest.approx(math.sqrt(3), rel=0.02)


def test_a_seed_gives_the_same_again():
    for kind in FILLERS:
        text = f'type: "{kind}"'
        assert np.array_equal(filled(text, (2, 3, 4, 4)), filled(text, (2, 3, 4, 4)))
    assert not np.array_equal(filled('type: "xavier"'), filled('type: "xavier"', seed=1))


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ('type: "he"', SHAPE, "no filler 'he': there are constant, uniform, "),
        ('type: "xavier" sparse: 3', SHAPE, "filler 'xavier' cannot be sparse"),
        ('type: "bilinear"', (2, 3, 4, 5), r"a square kernel of four axes, not \(2, 3, 4, 5\)"),
    ],
)
def test_what_cannot_be_filled(text, shape, words):
    with pytest.raises(EmotiwError, match=words):
        filled(text, shape)


@pytest.mark.caffe
@pytest.mark.parametrize("kernel", [3, 4])
def test_bilinear_is_caffes(make_case, in_caffe, in_torch, kernel):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 6 } } }'
    text += 'layer { name: "it" type: "Deconvolution" bottom: "x" top: "y" convolution_param { bias_term: false '
    text += f'num_output: 2 group: 2 stride: 2 kernel_size: {kernel} weight_filler {{ type: "bilinear" }} }} }}'
    case = make_case(text, backward=False)
    assert np.array_equal(in_torch(case)["param:it:0"], in_caffe({"it": case})["it"]["param:it:0"])
