import pytest

from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, parse_text
from emotiw.prototxt.message_diff import changes
from emotiw.prototxt.surgery import committed


def solver(text):
    return parse_text(text, SolverParameter, "a test")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("base_lr: 0.004", "base_lr: 0.004", []),
        ("base_lr: 0.004", "base_lr: 0.001", ["base_lr 0.004 -> 0.001"]),
        ("stepvalue: 5", "stepvalue: 5 stepvalue: 9", ["stepvalue 5 -> 5, 9"]),
        ("gamma: 0.1", "", ["gamma 0.1 -> not given"]),
        ("", "solver_mode: GPU", ["solver_mode not given -> GPU"]),
        ("", "debug_info: true type: 'Adam'", ["debug_info not given -> True", "type not given -> Adam"]),
    ],
)
def test_settings_in_words(old, new, expected):
    found = changes(solver(old), solver(new))
    assert sorted(found) == sorted(expected)


def test_what_is_ignored_does_not_count():
    assert changes(solver("max_iter: 3"), solver("max_iter: 4"), ["max_iter"]) == []


def test_layers_are_found_by_name_and_phase():
    old = committed("vgg_s_small", "train_val_finetune.prototxt")
    new = NetParameter()
    new.CopyFrom(old)
    layers = {layer.name: layer for layer in new.layer}
    new.layer[1].data_param.batch_size = 7  # TEST's
    layers["conv2"].param[1].lr_mult = 3
    layers["fc6"].inner_product_param.weight_filler.type = "msra"
    assert changes(old, new) == [
        "data TEST data_param batch_size 20 -> 7",
        "conv2 param[1] lr_mult 2 -> 3",
        "fc6 inner_product_param weight_filler type xavier -> msra",
    ]
