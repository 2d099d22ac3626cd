"""Batches of the real Caffe's ImageData layer, and ours."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter, parse_text

PASSES = 6


def draw(folder, name, size=(12, 11), seed=0, channels=3):
    """An image file of noise on a slope."""
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    noise = np.random.default_rng(seed).integers(0, 128, (*size, channels), np.uint8)
    slope = np.linspace(0, 127, size[1], dtype=np.uint8)[None, :, None]
    assert cv2.imwrite(str(folder / name), noise + slope)
    return folder / name


def listed(path, lines):
    path.write_text("".join(f"{name} {label}\n" for name, label in lines))
    return path


def layer(source, batch=3, said="", transform="", phase="TEST"):
    text = (
        f'name: "data" type: "ImageData" top: "data" top: "label" phase: {phase} transform_param {{ {transform} }} '
        f'image_data_param {{ source: "{source}" batch_size: {batch} {said} }}'
    )
    return parse_text(text, LayerParameter, "test")


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """ImageData layers by name: seven images of one size, in five lists of other ones."""
    folder = tmp_path_factory.mktemp("images")
    names = [f"one size/face {k}.png" for k in range(7)]
    seven = listed(folder / "seven.txt", [(draw(folder, name, seed=k), k - 1) for k, name in enumerate(names)])
    short = listed(folder / "short.txt", [(name, k - 1) for k, name in enumerate(names)])
    sizes = [draw(folder, f"{k}.png", (9 + 3 * k, 20 - 3 * k), k) for k in range(4)]
    sizes = listed(folder / "sizes.txt", [(path, k) for k, path in enumerate(sizes)])
    grey = [draw(folder, f"grey {k}.png", (8, 9), k, channels=1) for k in range(3)]
    grey = listed(folder / "grey.txt", [(path, 10**6) for path in grey])
    photos = [draw(folder, f"{k}.jpg", (41 + k, 30), k) for k in range(5)]
    photos = listed(folder / "photos.txt", [(path, k) for k, path in enumerate(photos)])
    write_mean(folder / "mean", np.random.default_rng(9).uniform(90, 150, (3, 12, 11)).astype(np.float32))
    mean, root = f'mean_file: "{folder / "mean"}" ', f'root_folder: "{folder}/" '
    return {
        "plain": layer(seven),
        "a root folder": layer(short, 2, root),
        "a batch of several rounds": layer(seven, 17),
        "mean_file, crop, scale": layer(seven, 4, "", mean + "crop_size: 7 scale: 0.017"),
        "mean_values": layer(seven, 2, "", "mean_value: 104.1 mean_value: 117.2 mean_value: 123.3"),
        "resized": layer(sizes, 3, "new_height: 14 new_width: 10"),
        "resized, cropped": layer(photos, 2, "new_height: 25 new_width: 37", "crop_size: 23 mean_value: 9"),
        "grey": layer(seven, 3, "is_color: false", "mean_value: 3"),
        "grey, resized": layer(photos, 3, "is_color: false new_height: 13 new_width: 17"),
        "grey files in colour": layer(grey, 2),
        "sizes, one an image": layer(sizes, 1),
        "sizes, cropped": layer(sizes, 3, "", "crop_size: 8"),
        "shuffled": layer(seven, 7, "shuffle: true", "crop_size: 5 mirror: true", phase="TRAIN"),
        "skipping": layer(seven, 7, "rand_skip: 5"),
    }


RANDOM = ("shuffled", "skipping")
NAMES = (
    *("plain", "a root folder", "a batch of several rounds", "mean_file, crop, scale", "mean_values", "resized"),
    *("resized, cropped", "grey", "grey, resized", "grey files in colour", "sizes, one an image", "sizes, cropped"),
)


@pytest.fixture(scope="module")
def by_caffe(layers, make_case, in_caffe):
    """The batches of the real Caffe's layers by name: [(data, label), ...]."""
    cases = {
        name: make_case(
            str(NetParameter(layer=[param])), phase=("TRAIN", "TEST")[param.phase], backward=False, passes=PASSES
        )
        for name, param in layers.items()
    }
    recorded = in_caffe(cases)
    return {name: [(t[f"pass:{k}:data"], t[f"pass:{k}:label"]) for k in range(PASSES)] for name, t in recorded.items()}


def by_us(param, passes=PASSES, **kwargs):
    with Sources(**kwargs) as sources:
        source = sources(param)
        return [tuple(tensor.numpy() for tensor in source.next()) for _ in range(passes)]


def labels_of(batches):
    return np.concatenate([labels for _, labels in batches]).tolist()


@pytest.mark.caffe
@pytest.mark.parametrize("name", NAMES)
def test_batches_are_caffes_to_the_bit(layers, by_caffe, name):
    assert {*NAMES, *RANDOM} == layers.keys()
    for (data, label), (their_data, their_label) in zip(by_us(layers[name]), by_caffe[name], strict=True):
        np.testing.assert_array_equal(label, their_label)
        np.testing.assert_array_equal(data, their_data)
        assert data.dtype == label.dtype == np.float32


@pytest.mark.caffe
def test_each_round_has_every_image_once_in_another_order(layers, by_caffe):
    for batches in (by_us(layers["shuffled"], seed=0), by_caffe["shuffled"]):
        orders = [labels.tolist() for _, labels in batches]
        assert all(sorted(order) == list(range(-1, 6)) for order in orders)
        assert sum(order == following for order, following in pairwise(orders)) <= 1


@pytest.mark.caffe
def test_rand_skip_begins_among_the_first(layers, by_caffe):
    begun = {labels_of(by_us(layers["skipping"], 1, seed=seed))[0] for seed in range(40)}
    assert begun == {-1, 0, 1, 2, 3}
    assert by_caffe["skipping"][0][1][0] in begun
    for batches in (by_us(layers["skipping"], seed=0), by_caffe["skipping"]):
        labels = labels_of(batches)
        assert all((later - label) % 7 == 1 for label, later in pairwise(labels))


def test_a_source_goes_on_after_its_place(layers):
    """A resumed training draws the same images and crops, in rounds that the first one never saw."""
    for name in RANDOM:
        with Sources(seed=0) as sources, Sources() as others:
            source, other = sources(layers[name]), others(layers[name])
            for _ in range(3):
                source.next()
            other.begin_at(source.place)
            for _ in range(4):
                assert [tensor.tolist() for tensor in source.next()] == [tensor.tolist() for tensor in other.next()]


def test_several_ranks_share_out_a_shuffled_list(layers):
    param = LayerParameter()
    param.CopyFrom(layers["shuffled"])
    param.image_data_param.batch_size = 3
    alone = labels_of(by_us(param, 12, seed=2))
    for rank in range(3):
        assert labels_of(by_us(param, 4, seed=2, rank=rank, ranks=3)) == alone[rank::3]


def test_paths_are_relative_to_a_folder(tmp_path):
    draw(tmp_path, "in/a.png")
    listed(tmp_path / "list.txt", [("a.png", 4)])
    assert labels_of(by_us(layer("list.txt", 1, 'root_folder: "in/"'), 1, folder=tmp_path)) == [4]


def test_a_label_outside_the_classes_is_named_with_its_line(layers):
    net = parse_text(
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 6 } }'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }',
        NetParameter,
        "test",
    )
    net.layer.insert(0, layers["plain"])
    with Sources(seed=0) as sources:
        opened = Net(graph_of(net, State("TEST")), sources)
        with pytest.raises(EmotiwError, match=r"seven\.txt:1: label -1 is none of the 6 classes of layer 'loss'"):
            opened()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "list.txt is empty: it is a list of files$"),
        ("a.png\n", "list.txt:1: not an image's path, a space and a whole number, but 'a.png'$"),
        ("a.png 0\na.png\t0\n", r"list.txt:2: not an image's path, a space and a whole number, but 'a.png\\t0'$"),
        ("a.png 0.5\n", "list.txt:1: not an image's path, a space and a whole number, but 'a.png 0.5'$"),
        ("none.png 0\n", "list.txt:1: none.png: No such file or directory$"),
        ("list.txt 0\n", "list.txt:1: list.txt is not an image that OpenCV reads$"),
    ],
)
def test_lists_that_cannot_be_read(tmp_path, lines, words):
    draw(tmp_path, "a.png")
    (tmp_path / "list.txt").write_text(lines)
    with Sources(tmp_path) as sources, pytest.raises(EmotiwError, match=words):
        sources(layer("list.txt", 1))


def test_parameters_that_contradict_each_other(tmp_path):
    source = listed(tmp_path / "list.txt", [(draw(tmp_path, "a.png"), 0)])
    with Sources() as sources:
        with pytest.raises(EmotiwError, match="Caffe takes both, or neither"):
            sources(layer(source, said="new_height: 4"))
        with pytest.raises(EmotiwError, match="its image_data_param has a batch_size of 0"):
            sources(layer(source, 0))
        with pytest.raises(EmotiwError, match="an image of 3 x 12 x 11 is smaller than crop_size 13"):
            sources(layer(source, transform="crop_size: 13"))
        none = layer(tmp_path / "none.txt")
        with pytest.raises(EmotiwError, match=r"none\.txt: No such file or directory"):
            sources(none)
