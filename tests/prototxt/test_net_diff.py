import pytest

from emotiw.prototxt.formats.messages import NetParameter, parse_text
from emotiw.prototxt.formats.upgrade import upgrade
from emotiw.prototxt.net_diff import differences

CARD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { alpha: 0.0005 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { pool: MAX kernel_size: 3 stride: 3 } }
"""
# The same in the old format, with all differences that change no result.
SAME = """
name: "CaffeNet" input: "data" input_dim: 10 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 9 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 pad: 0 stride: 1 group: 1 engine: CAFFE
                      weight_filler { type: "gaussian" std: 0.01 } bias_filler { value: 1 } } }
layers { name: "norm" type: LRN bottom: "conv" top: "norm" lrn_param { local_size: 5 alpha: 0.0005 beta: 0.75 k: 1 } }
layers { name: "pool" type: POOLING bottom: "norm" top: "pool" pooling_param { kernel_size: 3 stride: 3 } }
"""


def found(text):
    return differences(upgrade(parse_text(text, NetParameter, "here")), parse_text(CARD, NetParameter, "card"))


def test_settings_without_effect_are_not_differences():
    assert found(SAME) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kernel_size: 3 }", "kernel_size: 5 }", ["conv's kernel_size is 5, expected: 3"]),
        ("kernel_size: 3 }", "kernel_size: 3 pad: 2 }", ["conv's pad is 2, expected: Caffe's default"]),
        ("alpha: 0.0005", "alpha: 0.0001", ["norm's alpha is 0.0001, expected: 0.0005"]),
        ("alpha: 0.0005", "alpha: 0.0005 k: 2", ["norm's k is 2, expected: Caffe's default"]),
        ("pool: MAX", "pool: AVE", ["pool's pool is AVE, expected: Caffe's default"]),
        (" stride: 3", "", ["pool's stride is not given, expected: 3"]),
        ("dim: 8 dim: 8", "dim: 8 dim: 7", ["input's dim is 3 x 8 x 7, expected: 3 x 8 x 8"]),
        ('type: "LRN"', 'type: "ReLU"', ["norm's type is ReLU, expected: LRN"]),
        ('bottom: "norm"', 'bottom: "conv"', ["pool's bottom is conv, expected: norm"]),
        ('name: "norm"', 'name: "norm1"', ["layer norm is missing", "layer norm1 is one too many"]),
    ],
)
def test_differences_that_change_a_result_are_reported(old, new, words):
    assert old in CARD
    assert found(CARD.replace(old, new, 1)) == words


def test_another_order_of_layers_is_reported():
    *first, third, fourth = CARD.strip().split("\n")
    assert found("\n".join([*first, fourth, third])) == ["its layers are in another order: input, conv, pool, norm"]
