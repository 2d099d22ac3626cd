from importlib import resources

import pytest

from emotiw.errors import EmotiwError, UsageError
from emotiw.prototxt.formats.messages import NetParameter, format_text, parse_text
from emotiw.prototxt.surgery import classifiers, committed, deploy, rename_layers, use_classes, use_set


def test_an_unknown_net_is_a_usage_error_that_lists_the_known():
    for name in ("vgg", "../vgg_s", "", "messages.csv"):
        with pytest.raises(
            UsageError, match=r"^there is no net .*: name one of googlenet, googlenet_medium, .*, vgg_s_small$"
        ):
            committed(name, "solver_finetune.prototxt")


def test_use_set_points_each_phase_at_its_lmdb():
    net = committed("vgg_s_small", "train_val_finetune.prototxt")
    use_set(net, {"TRAIN": "a/train_lmdb", "TEST": "a/val_lmdb"}, "a/mean.binaryproto")
    assert [layer.data_param.source for layer in net.layer[:2]] == ["a/train_lmdb", "a/val_lmdb"]
    assert {layer.transform_param.mean_file for layer in net.layer[:2]} == {"a/mean.binaryproto"}


def test_use_classes_widens_what_feeds_the_loss_and_nothing_else():
    net = committed("vgg_s", "train_val_pretrain.prototxt")
    before = {layer.name: layer.inner_product_param.num_output for layer in net.layer if layer.type == "InnerProduct"}
    use_classes(net, 10572)
    after = {layer.name: layer.inner_product_param.num_output for layer in net.layer if layer.type == "InnerProduct"}
    assert before == {"fc6": 4048, "fc7": 4048, "fc8": 7}
    assert after == {"fc6": 4048, "fc7": 4048, "fc8": 10572}


# Two heads, as in GoogLeNet: the last loss is the net's, the other head's layers only help training.
TWO_HEADS = """
name: "heads"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { crop_size: 8 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" param { lr_mult: 3 }
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } bias_filler { value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }
layer { name: "aux" type: "InnerProduct" bottom: "fc" top: "aux" inner_product_param { num_output: 7 } }
layer { name: "aux_loss" type: "SoftmaxWithLoss" bottom: "aux" bottom: "label" top: "aux_loss" loss_weight: 0.3 }
layer { name: "last" type: "InnerProduct" bottom: "fc" top: "last" inner_product_param { num_output: 7 } }
layer { name: "accuracy" type: "Accuracy" bottom: "last" bottom: "label" top: "accuracy" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "last" bottom: "label" top: "loss" }
"""


def test_all_heads_get_the_sets_width_and_deploy_keeps_one():
    net = committed("googlenet_small", "train_val_finetune.prototxt")
    heads = {f"loss{k}/classifier_cat" for k in (1, 2, 3)}
    assert classifiers(net) == heads
    use_classes(net, 40)
    widths = {layer.name: layer.inner_product_param.num_output for layer in net.layer if layer.type == "InnerProduct"}
    assert {name for name, width in widths.items() if width == 40} == heads
    names = [layer.name for layer in deploy(net).layer]
    assert names[-2:] == ["loss3/classifier_cat", "prob"]
    assert not [name for name in names if name.startswith(("loss1", "loss2")) or "top-1" in name]


def test_renamed_layers():
    net = committed("vgg_s_small", "train_val_pretrain.prototxt")
    rename_layers(net, {"fc8", "fc9"})
    assert [layer.name for layer in net.layer if "_new" in layer.name] == ["fc8_new"]
    assert deploy(net).layer[-1].bottom[0] == "fc8"  # the blob keeps its name


def test_the_deploy_form_keeps_what_the_scores_need():
    net = parse_text(TWO_HEADS, NetParameter, "here")
    use_classes(net, 4)
    assert [layer.inner_product_param.num_output for layer in net.layer if layer.type == "InnerProduct"] == [5, 4, 4]
    made = deploy(net)
    assert [(layer.name, layer.type) for layer in made.layer] == [
        ("data", "Input"),
        ("fc", "InnerProduct"),
        ("relu", "ReLU"),
        ("last", "InnerProduct"),
        ("prob", "Softmax"),
    ]
    assert list(made.layer[0].input_param.shape[0].dim) == [1, 3, 8, 8]
    text = format_text(made)
    for word in ("filler", "lr_mult", "loss", "label", "include"):
        assert word not in text
    assert "lr_mult" in format_text(net)  # a copy was cleaned, not the net


@pytest.mark.caffe
def test_a_deploy_form_is_whole_in_caffe(describe, tmp_path):
    net = committed("vgg_s_small", "train_val_pretrain.prototxt")
    use_classes(net, 40)
    (tmp_path / "deploy.prototxt").write_text(format_text(deploy(net)))
    reported = describe(tmp_path / "deploy.prototxt")
    assert (reported["inputs"], reported["outputs"]) == (["data"], ["prob"])
    assert (reported["blobs"]["data"], reported["blobs"]["prob"]) == ([1, 3, 56, 56], [1, 40])
    assert reported["params"]["fc8"] == [[40, 256], [40]]


def test_a_damaged_file_names_itself(tmp_path, monkeypatch):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/solver_finetune.prototxt").write_text("base_rate: 1")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(EmotiwError, match=r"^odd/solver_finetune\.prototxt is not a SolverParameter"):
        committed("odd", "solver_finetune.prototxt")
