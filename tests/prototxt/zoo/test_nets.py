import re
from importlib import resources

import numpy as np
import pytest

from emotiw.prototxt.generate import files
from emotiw.prototxt.shapes import parameters, shapes
from emotiw.prototxt.surgery import committed, crop_size, loss_weight, set_size
from emotiw.prototxt.zoo.nets import NETS, STAGES
from emotiw.prototxt.zoo.param_specs import LAST_LAYERS

# The deviations of each file: D12 for the nets of others, D6 and D16 for ours.
TAGS = {
    "solver_pretrain.prototxt": ["D5"],
    "solver_finetune.prototxt": ["D5"],
    "train_val_pretrain.prototxt": ["D5", "D9"],
    "train_val_finetune.prototxt": [],
    "deploy.prototxt": [],
}
OURS = {"medium": "D16", "small": "D6"}
CONVOLUTIONS = [f"conv{k}" for k in range(1, 6)]
VGG_M = ["vgg_m_2048", "vgg_m_4096"]


def layer(net, name):
    return next(layer for layer in net.layer if layer.name == name)


def learned(net):
    return {found.name: found for found in net.layer if found.param}


def rates(net):
    """(weight, bias) multipliers by layer."""
    return {name: tuple(param.lr_mult for param in found.param) for name, found in learned(net).items()}


def fillers(found):
    return found.convolution_param if found.type == "Convolution" else found.inner_product_param


def test_the_papers_four_nets_and_smaller_ones_of_each():
    assert list(NETS) == [
        f"{net}{size}"
        for size in ("", "_medium", "_small")
        for net in ("vgg_s", "vgg_m_2048", "vgg_m_4096", "googlenet")
    ]


@pytest.mark.parametrize("net", NETS)
def test_the_committed_files_are_the_generated_ones(net):
    folder = resources.files("emotiw.prototxt") / net
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == files(net)


@pytest.mark.parametrize("net", NETS)
def test_input_and_set_sizes(net):
    crop, size = {"paper": (224, 256), "medium": (112, 128), "small": (56, 64)}[NETS[net].preset]
    for stage in STAGES:
        train_val = committed(net, f"train_val_{stage}.prototxt")
        assert (crop_size(train_val), set_size(train_val)) == (crop, size)


@pytest.mark.parametrize("net", ["vgg_s", *VGG_M])
def test_the_fine_tuning_net_is_the_authors(net):
    """Rates, decay, fillers, biases, dropout, batches and mirror of their published train_val of VGG_S."""
    net = committed(net, "train_val_finetune.prototxt")
    assert rates(net) == dict.fromkeys([*CONVOLUTIONS, "fc6"], (1, 2)) | {"fc7": (9, 18), "fc8_cat": (12, 24)}
    assert all([param.decay_mult for param in found.param] == [1, 0] for found in learned(net).values())

    stds = dict.fromkeys([*CONVOLUTIONS, "fc8_cat"], 0.01) | {"fc6": 0.005, "fc7": 0.005}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, found in learned(net).items():
        assert fillers(found).weight_filler.type == "gaussian"
        assert fillers(found).weight_filler.std == pytest.approx(stds[name], rel=1e-6)
        assert (fillers(found).bias_filler.type, fillers(found).bias_filler.value) == ("constant", name in ones)

    assert [layer(net, name).dropout_param.dropout_ratio for name in ("drop6", "drop7")] == [np.float32(0.7)] * 2
    train, test = net.layer[:2]
    assert [data.data_param.batch_size for data in (train, test)] == [30, 20]
    assert [data.transform_param.mirror for data in (train, test)] == [True, False]
    assert [data.transform_param.crop_size for data in (train, test)] == [224, 224]


@pytest.mark.parametrize(
    ("net", "norms"), [("vgg_s", {"norm1": 1}), ("vgg_m_2048", {"norm1": 2, "norm2": 2}), ("googlenet", {})]
)
def test_the_normalisations(net, norms):
    """Chatfield's k is 2, the authors' VGG_S has the default; GoogLeNet's alpha is 0.0001."""
    norms = {name: (5, np.float32(0.0005), 0.75, k) for name, k in norms.items()} or dict.fromkeys(
        ("pool1/norm1", "conv2/norm2"), (5, np.float32(0.0001), 0.75, 1)
    )
    found = {found.name: found.lrn_param for found in committed(net, "deploy.prototxt").layer if found.type == "LRN"}
    assert {name: (lrn.local_size, lrn.alpha, lrn.beta, lrn.k) for name, lrn in found.items()} == norms


@pytest.mark.parametrize("net", VGG_M)
def test_chatfields_dropout_before_fine_tuning(net):
    net = committed(net, "train_val_pretrain.prototxt")
    assert [layer(net, name).dropout_param.dropout_ratio for name in ("drop6", "drop7")] == [0.5, 0.5]


@pytest.mark.parametrize("stage", STAGES)
def test_googlenet_learns_as_bvlcs(stage):
    net = committed("googlenet", f"train_val_{stage}.prototxt")
    for name, found in learned(net).items():
        assert fillers(found).weight_filler.type == "xavier"
        assert fillers(found).bias_filler.value == (0 if "classifier" in name else np.float32(0.2)), name
    dropouts = {found.name: found.dropout_param.dropout_ratio for found in net.layer if found.type == "Dropout"}
    assert dropouts == {
        "loss1/drop_fc": np.float32(0.7),
        "loss2/drop_fc": np.float32(0.7),
        "pool5/drop_7x7_s1": np.float32(0.4),
    }
    losses = {found.top[0]: list(found.loss_weight) for found in net.layer if found.type == "SoftmaxWithLoss"}
    assert losses == {"loss1/loss1": [np.float32(0.3)], "loss2/loss1": [np.float32(0.3)], "loss3/loss3": []}
    assert loss_weight(net) == pytest.approx(1.6)
    assert loss_weight(committed("vgg_s", f"train_val_{stage}.prototxt")) == 1


@pytest.mark.parametrize("net", ["googlenet", "googlenet_small"])
def test_every_head_of_googlenet_has_higher_rates_in_fine_tuning(net):
    found = rates(committed(net, "train_val_finetune.prototxt"))
    assert {name: rate for name, rate in found.items() if rate != (1, 2)} == {
        "loss1/fc": (9, 18),
        "loss2/fc": (9, 18),
        "loss1/classifier_cat": (12, 24),
        "loss2/classifier_cat": (12, 24),
        "loss3/classifier_cat": (12, 24),
    }
    assert set(rates(committed(net, "train_val_pretrain.prototxt")).values()) == {(1, 2)}


@pytest.mark.parametrize("net", NETS)
def test_only_the_last_layers_get_new_names_for_fine_tuning(net):
    """Caffe copies weights by the layers' names, so a layer with a new name starts from its filler."""
    first, second = (learned(committed(net, f"train_val_{stage}.prototxt")) for stage in STAGES)
    last = {f"loss{k}/classifier" for k in (1, 2, 3)} if "googlenet" in net else {"fc8"}
    assert first.keys() - second.keys() == last
    assert second.keys() - first.keys() == {f"{name}_cat" for name in last}


@pytest.mark.parametrize("net", [name for name in NETS if name.endswith("_medium")])
@pytest.mark.parametrize("stage", STAGES)
def test_the_medium_nets_scale_their_input_and_learn_at_one_rate(net, stage):
    net = committed(net, f"train_val_{stage}.prototxt")
    scale = layer(net, "input_scale")
    assert (scale.type, list(scale.bottom), scale.power_param.scale) == ("Power", ["data"], 1 / 128)
    assert [found.name for found in net.layer if "data" in found.bottom] == ["input_scale"]
    assert not any(found.transform_param.HasField("scale") for found in net.layer)
    assert set(rates(net).values()) == {(1, 2)}
    last = {name.removesuffix("_cat") for name in learned(net)} & LAST_LAYERS
    for name, found in learned(net).items():
        fill, classifier = fillers(found).weight_filler, name.removesuffix("_cat") in last
        assert (fill.type, fill.std) == (("gaussian", np.float32(0.01)) if classifier else ("msra", 1)), name


@pytest.mark.parametrize("net", [name for name in NETS if not name.endswith("_medium")])
def test_no_other_net_scales_its_input(net):
    assert "input_scale" not in {found.name for found in committed(net, "deploy.prototxt").layer}


def test_the_solvers_are_the_same_authors_age_and_gender_solver():
    for net in ("vgg_s", *VGG_M, "googlenet"):
        solver = committed(net, "solver_finetune.prototxt")
        found = [solver.base_lr, solver.gamma, solver.momentum, solver.weight_decay]
        np.testing.assert_allclose(found, [0.001, 0.1, 0.9, 0.0005], rtol=1e-6)
        assert (solver.lr_policy, solver.stepsize, solver.max_iter, solver.type) == ("step", 10000, 50000, "SGD")


@pytest.mark.parametrize("size", OURS)
def test_the_two_smaller_vgg_m_are_two_nets(size):
    a, b = (shapes(committed(f"{net}_{size}", "deploy.prototxt"))[1] for net in VGG_M)
    assert {name for name in a if a[name] != b[name]} == {"fc7", "fc8_cat"}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("file", TAGS)
def test_a_file_names_its_deviations(net, file):
    text = (resources.files("emotiw.prototxt") / net / file).read_text(encoding="utf-8")
    not_theirs = not net.startswith("vgg_s") and not file.startswith("solver")
    ours = [number for size, number in OURS.items() if net.endswith(size)]
    expected = {*TAGS[file], *(["D12"] if not_theirs else []), *ours}
    tags = re.findall(r"^# Deviation (D\d+): .+\.$", text, re.M)
    assert (set(tags), len(tags)) == (expected, len(expected))


@pytest.mark.parametrize("net", NETS)
def test_the_model_card(net):
    folder = resources.files("emotiw.prototxt") / net
    text = (folder / "README.md").read_text(encoding="utf-8")
    front = dict(line.split(": ", 1) for line in text.split("---\n")[1].splitlines())
    assert {"name", "caffemodel", "url", "licence", "source"} <= front.keys()
    assert "\nDifferences:\n\n- " in text
    deploy = committed(net, "deploy.prototxt")
    blobs, params = shapes(deploy)
    assert f"{parameters(params):,} parameters" in text
    table = re.findall(r"^\| (\S+) \| .* \| ([\d x]+) \|$", text, re.M)
    making = {found.top[0]: found.name for found in reversed(deploy.layer)}
    assert dict(table) == {making[blob]: " x ".join(map(str, shape[1:])) for blob, shape in blobs.items()}
