"""A user's own net is read and checked completely: errors name file, layer and line."""

import re

import pytest

from emotiw.errors import UsageError
from emotiw.prototxt.formats.messages import LayerParameter
from emotiw.prototxt.surgery import crop_size, data_layers, deploy
from emotiw.train.experiments import experiment
from emotiw.train.own_net import read_own_net


def layer_of(net, name):
    return next(layer for layer in net.layer if layer.name == name)


def test_a_folder_becomes_a_row(tmp_path, transformed, written):
    net = transformed(crop_size=48, scale=0.5)
    own = read_own_net(written(tmp_path, net))
    row = experiment("mine-rgb", own)
    assert (row.row, row.net, row.representation, crop_size(row.train_val("finetune"))) == (
        "mine-rgb",
        "mine",
        "rgb",
        48,
    )
    assert row.solver("pretrain").stepsize == 240
    assert row.train_val("pretrain") == row.train_val("finetune")


def test_the_recipe_does_not_depend_on_paths(tmp_path, transformed, written):
    """For example, a copied run folder has a set's paths as sources."""
    net = transformed()
    here = experiment("mine-rgb", read_own_net(written(tmp_path / "a", net)))
    for layer in data_layers(net):
        layer.data_param.source = "/elsewhere/lmdb"
    there = experiment("mine-rgb", read_own_net(written(tmp_path / "b", net)))
    assert here.recipe("finetune") == there.recipe("finetune")
    net.layer[2].convolution_param.weight_filler.std = 0.5
    other = experiment("mine-rgb", read_own_net(written(tmp_path / "c", net)))
    assert other.recipe("finetune") != here.recipe("finetune")


def test_without_a_solver_file_base_lr_and_max_iter_are_missing(tmp_path, transformed, written):
    row = experiment("mine-rgb", read_own_net(written(tmp_path, transformed(), solver=False)))
    with pytest.raises(UsageError, match="mine-rgb, pretrain lacks base_lr and max_iter: give them"):
        row.check()
    row.over(("pretrain", "finetune"), "base_lr: 0.01 max_iter: 5", "--solver").check()


@pytest.mark.parametrize("name", ["vgg_s", "vgg_s_small", "a net", "../x"])
def test_the_name_of_a_shipped_net_is_refused(tmp_path, transformed, written, name):
    """Otherwise its results would be compared with those published for that net."""
    with pytest.raises(UsageError, match="name your own net differently"):
        experiment(f"{name}-rgb", read_own_net(written(tmp_path, transformed())))


@pytest.mark.parametrize(
    ("layer", "edit", "words"),
    [
        ("conv3", lambda one: setattr(one, "type", "Convolutoin"), "layer conv3 is of type Convolutoin"),
        ("conv3", lambda one: one.bottom.__setitem__(0, "nowhere"), "layer conv3 of type Convolution cannot be built"),
        ("conv1", lambda one: one.convolution_param.kernel_size.__setitem__(0, 99), "layer conv1 of type Convolution"),
        ("loss", lambda one: one.bottom.__setitem__(1, "fc7"), "layer loss is not computed from the blob `label`"),
        ("loss", lambda one: one.bottom.__setitem__(0, "fc7"), ""),
        ("loss", lambda one: one.bottom.__setitem__(0, "conv5"), "takes conv5, which no InnerProduct makes"),
        ("data", lambda one: one.top.__delitem__(1), "layer data has the tops data, and must have `data` and `label`"),
        ("data", lambda one: setattr(one, "type", "ImageData"), "images come from a prepared set, by a Data layer"),
        (
            "data",
            lambda one: one.data_param.ClearField("batch_size"),
            "needs a crop_size in transform_param and a batch",
        ),
        ("data", lambda one: setattr(one.transform_param, "scale", 2), "its Data layers differ in transform_param"),
        ("data", lambda one: one.transform_param.ClearField("mean_file"), "has a mean_file and the other none"),
        ("data", lambda one: one.transform_param.mean_value.append(1), "differ in transform_param"),
    ],
)
def test_a_net_that_cannot_be_trained_is_refused_with_the_line(tmp_path, transformed, written, layer, edit, words):
    net = transformed()
    whole = deploy(net)
    edit(layer_of(net, layer))
    folder = written(tmp_path, net, whole)
    if not words:  # fc7, an InnerProduct, becomes the last one, and the deploy net differs
        words = "deploy.prototxt differs from the net that train_val.prototxt trains"
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        read_own_net(folder)
    assert "\n" not in str(caught.value)
    if found := re.match(r".*prototxt:(\d+): ", str(caught.value)):
        lines = (folder / "train_val.prototxt").read_text().split("\n")
        assert f'name: "{layer}"' in lines[int(found[1]) - 1]


def test_a_misspelt_field_is_named_with_its_line(tmp_path, transformed, written):
    folder = written(tmp_path, transformed())
    text = (folder / "train_val.prototxt").read_text()
    (folder / "train_val.prototxt").write_text(text.replace("kernel_size", "kernel_sise", 1))
    line = text[: text.index("kernel_size")].count("\n") + 1
    with pytest.raises(UsageError, match=rf'train_val.prototxt is not a NetParameter.*line {line}, .*"kernel_sise"'):
        read_own_net(folder)


def test_comments_may_be_in_any_encoding(tmp_path, transformed, written):
    folder = written(tmp_path, transformed())
    path = folder / "train_val.prototxt"
    path.write_bytes("# 中文\n".encode("gbk") + path.read_bytes())
    read_own_net(folder)
    path.write_bytes(path.read_bytes().replace(b'type: "ReLU"', b'type: "Swish"', 1))
    with pytest.raises(UsageError, match=r"train_val\.prototxt:\d+: layer relu1 is of type Swish"):
        read_own_net(folder)


@pytest.mark.parametrize("setting", ["snapshot_format: HDF5", "snapshot_after_train: false"])
def test_a_solver_from_whose_snapshots_a_run_could_not_go_on_is_refused(tmp_path, transformed, written, setting):
    folder = written(tmp_path, transformed())
    with (folder / "solver.prototxt").open("a") as file:
        file.write(setting)
    with pytest.raises(UsageError, match=rf"solver\.prototxt: {setting.partition(':')[0]}: "):
        read_own_net(folder)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda net: net.layer.__delitem__(2), "layer relu1 is missing"),
        (lambda net: setattr(layer_of(net, "conv2").convolution_param, "num_output", 8), "conv2's num_output is 8"),
        (lambda net: net.layer[0].input_param.shape[0].dim.__setitem__(slice(2, 4), [64, 64]), "takes 64 pixels"),
        (lambda net: net.layer.__delitem__(-1), "has no Softmax"),
        (
            lambda net: net.layer.insert(
                1,
                LayerParameter(name="by", type="Power", bottom=["data"], top=["data"], power_param={"scale": 0.5}),
            ),
            "layer by is one too many",
        ),
    ],
)
def test_a_deploy_net_that_scores_differently_is_refused(tmp_path, transformed, written, edit, words):
    """A Power layer in only one of the files would scale the input only in scoring, or only in training."""
    whole = deploy(transformed())
    edit(whole)
    with pytest.raises(UsageError, match=words):
        read_own_net(written(tmp_path, transformed(), whole))


def test_a_deploy_may_lack_dropout_and_rename_its_output(tmp_path, transformed, written):
    whole = deploy(transformed())
    kept = [layer for layer in whole.layer if layer.type != "Dropout"]
    assert len(kept) < len(whole.layer)
    del whole.layer[:]
    whole.layer.extend(kept)
    whole.layer[-1].name, whole.layer[-1].top[0] = "answer", "answers"
    layer_of(whole, "fc8_cat").inner_product_param.num_output = 1000
    read_own_net(written(tmp_path, transformed(), whole))


def normalised(net, **settings):
    """Return a copy with a BatchNorm after conv1."""
    copy = type(net)()
    copy.CopyFrom(net)
    place = 1 + [layer.name for layer in copy.layer].index("conv1")
    copy.layer.insert(
        place,
        LayerParameter(name="bn1", type="BatchNorm", bottom=["conv1"], top=["conv1"], batch_norm_param=settings),
    )
    return copy


@pytest.mark.parametrize("trained", [{"eps": 0.25}, {"eps": 0.25, "use_global_stats": True}])
@pytest.mark.parametrize(("deployed", "fits"), [(0.25, True), (0.5, False), (None, False)])
def test_the_eps_of_a_batch_norm_must_be_equal(tmp_path, transformed, written, trained, deployed, fits):
    eps = {} if deployed is None else {"eps": deployed}
    net = transformed()
    for more in ({}, {"use_global_stats": True}):
        folder = written(tmp_path / str(len(more)), normalised(net, **trained), normalised(deploy(net), **eps, **more))
        if fits:
            read_own_net(folder)
        else:
            with pytest.raises(UsageError, match="bn1's eps is"):
                read_own_net(folder)


@pytest.mark.parametrize(
    ("trained", "deployed"), [({"use_global_stats": False}, {}), ({}, {"use_global_stats": False})]
)
def test_a_batch_norm_that_scores_by_the_batch_is_refused(tmp_path, transformed, written, trained, deployed):
    """Published nets often have the field in both files: false in train_val, true in deploy."""
    net = transformed()
    folder = written(tmp_path, normalised(net, **trained), normalised(deploy(net), **deployed))
    with pytest.raises(UsageError, match=r"prototxt:[1-9]\d+: layer bn1 has use_global_stats: false"):
        read_own_net(folder)


def test_two_layers_with_weights_and_one_name_are_refused(tmp_path, transformed, written):
    """conv3 and conv4 have equal shapes: weights copied by name would be those of one of them in both."""
    net, whole = transformed(), deploy(transformed())
    for each in (net, whole):
        layer_of(each, "conv4").name = "conv3"
    with pytest.raises(UsageError, match=r"layer conv3: an earlier layer with weights has the same name"):
        read_own_net(written(tmp_path, net, whole))


@pytest.mark.parametrize("name", ["train_val.prototxt", "deploy.prototxt"])
def test_both_files_are_needed(tmp_path, transformed, written, name):
    folder = written(tmp_path, transformed())
    (folder / name).unlink()
    with pytest.raises(UsageError, match=f"{name} is missing"):
        read_own_net(folder)
