"""Batches of the real Caffe's HDF5Data layer, and ours."""

from itertools import pairwise

import h5py
import numpy as np
import pytest

from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter, NetParameter, parse_text

PASSES = 7


def write(path, rows, begin=0, shape=(2, 3), kind=np.float32):
    """A file whose labels count on from `begin`."""
    with h5py.File(path, "w") as file:
        file["data"] = np.random.default_rng(begin).integers(-9, 9, (rows, *shape)).astype(kind)
        file["label"] = np.arange(begin, begin + rows).astype(kind)
    return path


def listed(path, files, between="\n"):
    path.write_text(between.join(map(str, files)))
    return path


def layer(source, batch, more="", tops=("data", "label"), phase="TEST"):
    names = " ".join(f'top: "{top}"' for top in tops)
    data = f'source: "{source}" batch_size: {batch} {more}'
    text = f'name: "d" type: "HDF5Data" {names} phase: {phase} hdf5_data_param {{ {data} }}'
    return parse_text(text, LayerParameter, "test")


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """HDF5Data layers by name: seven rows, in one file, or in two and a third."""
    folder = tmp_path_factory.mktemp("hdf5")
    first, second = write(folder / "a.h5", 4), write(folder / "b.h5", 3, 4)
    one = listed(folder / "one.txt", [write(folder / "seven.h5", 7)])
    two = listed(folder / "two.txt", [first, second])
    wide = listed(folder / "wide.txt", [write(folder / "wide.h5", 7, shape=(2, 2, 1, 3, 2), kind=np.float64)])
    return {
        "one file": layer(one, 3),
        "two files": layer(two, 3),
        "two files in a line": layer(listed(folder / "line.txt", [first, second], " "), 5),
        "lines of Windows": layer(listed(folder / "crlf.txt", [first, second], "\r\n"), 2),
        "a batch of several rounds": layer(two, 17),
        "whole numbers": layer(listed(folder / "whole.txt", [write(folder / "c.h5", 7, kind=np.uint8)]), 4),
        "float64 of six axes": layer(wide, 2),
        "labels alone": layer(two, 3, tops=["label"]),
        "shuffled": layer(one, 7, "shuffle: true", phase="TRAIN"),
        "two shuffled": layer(two, 7, "shuffle: true", phase="TRAIN"),
    }


IN_ORDER = (
    *("one file", "two files", "two files in a line", "lines of Windows", "a batch of several rounds"),
    *("whole numbers", "float64 of six axes", "labels alone"),
)


@pytest.fixture(scope="module")
def by_caffe(layers, make_case, in_caffe):
    """The batches of the real Caffe's layers by name."""
    cases = {
        name: make_case(
            str(NetParameter(layer=[param])), phase=("TRAIN", "TEST")[param.phase], backward=False, passes=PASSES
        )
        for name, param in layers.items()
    }
    recorded = in_caffe(cases)
    return {
        name: [[recorded[name][f"pass:{k}:{top}"] for top in param.top] for k in range(PASSES)]
        for name, param in layers.items()
    }


def by_us(param, passes=PASSES, **kwargs):
    with Sources(**kwargs) as sources:
        source = sources(param)
        return [[tensor.numpy() for tensor in source.next()] for _ in range(passes)]


@pytest.mark.caffe
@pytest.mark.parametrize("name", IN_ORDER)
def test_batches_are_caffes_to_the_bit(layers, by_caffe, name):
    for ours, theirs in zip(by_us(layers[name]), by_caffe[name], strict=True):
        for mine, caffes in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, caffes)
            assert mine.dtype == np.float32


@pytest.mark.caffe
@pytest.mark.parametrize("name", ["shuffled", "two shuffled"])
def test_each_round_has_every_row_once_in_another_order(layers, by_caffe, name):
    in_order = by_us(layers["one file" if name == "shuffled" else "two files"], 3)
    whole = {label: row for data, labels in in_order for label, row in zip(labels, data, strict=True)}
    for batches in (by_us(layers[name], seed=0), by_caffe[name]):
        orders = [labels.tolist() for _, labels in batches]
        assert all(sorted(order) == list(range(7)) for order in orders)
        assert sum(order == following for order, following in pairwise(orders)) <= 1
        for data, labels in batches:
            np.testing.assert_array_equal(data, [whole[label] for label in labels])
        if name == "two shuffled":  # the rows of a file stay together
            assert all(sum((a < 4) != (b < 4) for a, b in pairwise(order)) == 1 for order in orders)


def labels_of(param, passes=PASSES, **kwargs):
    return np.concatenate([batch[-1] for batch in by_us(param, passes, **kwargs)]).tolist()


def test_a_seed_decides_the_order(layers):
    for name in ("shuffled", "two shuffled"):
        assert labels_of(layers[name], seed=4) == labels_of(layers[name], seed=4)
        assert labels_of(layers[name], seed=4) != labels_of(layers[name], seed=5)
        assert labels_of(layers[name]) != labels_of(layers[name])


@pytest.mark.parametrize("name", ["two files", "shuffled", "two shuffled"])
def test_a_source_goes_on_after_its_place(layers, name):
    """A resumed training draws the same rows, in rounds that the first one never saw."""
    with Sources(seed=0) as sources, Sources() as others:
        source, other = sources(layers[name]), others(layers[name])
        for _ in range(5):
            source.next()
        other.begin_at(source.place)
        for _ in range(6):
            assert [tensor.tolist() for tensor in source.next()] == [tensor.tolist() for tensor in other.next()]


def test_several_ranks_share_out_the_rows_of_training(layers):
    """Each takes every third row, counted on over rounds: Caffe's HDF5DataLayer::Skip."""
    for name in ("two files", "two shuffled"):
        param = LayerParameter()
        param.CopyFrom(layers[name])
        param.phase, param.hdf5_data_param.batch_size = 0, 3
        alone = labels_of(param, 15, seed=2)
        for rank in range(3):
            assert labels_of(param, 5, seed=2, rank=rank, ranks=3) == alone[rank::3]
    assert labels_of(layers["two files"], 1, rank=2, ranks=3) == [0, 1, 2]  # each tests on all


def test_paths_are_relative_to_a_folder(tmp_path):
    write(tmp_path / "a.h5", 3)
    listed(tmp_path / "list.txt", ["a.h5"])
    assert labels_of(layer("list.txt", 3), 1, folder=tmp_path) == [0, 1, 2]


def faulty(folder, fault):
    """A layer with a fault."""
    good = write(folder / "good.h5", 3)
    path = folder / "bad.h5"
    if fault in ("wide", "rows"):
        write(path, 3, shape=(2, 4) if fault == "wide" else (2, 3))
    with h5py.File(path, "a") as file:
        if fault == "rows":
            del file["label"]
            file["label"] = np.zeros(4, np.float32)
        if fault == "text":
            file["data"], file["label"] = np.array([b"x"]), np.zeros(1)
        if fault == "no rows":
            file["data"], file["label"] = np.zeros((0, 2)), np.zeros(0)
    if fault == "no HDF5":
        path.write_bytes(b"something else")
    files = {"none": [], "missing": [folder / "missing.h5"]}.get(fault, [good, path])
    return listed(folder / "list.txt", files)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wide", r"bad.h5 has rows of \[\(2, 4\), \(\)\], .*good.h5 of \[\(2, 3\), \(\)\]$"),
        ("rows", r"bad.h5 has datasets of different numbers of rows: data \(3, 2, 3\), label \(4,\)$"),
        ("no dataset", "bad.h5 has no dataset 'data' of numbers$"),
        ("text", "bad.h5 has no dataset 'data' of numbers$"),
        ("no rows", "bad.h5 has no dataset 'data' of numbers$"),
        ("no HDF5", "bad.h5 is no HDF5 file that can be read: "),
        ("missing", "missing.h5: no such file$"),
        ("none", "list.txt is empty: it is a list of files$"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, fault, words):
    with Sources() as sources, pytest.raises(EmotiwError, match=words):
        sources(layer(faulty(tmp_path, fault), 2))


def test_parameters_that_contradict_each_other(tmp_path):
    source = listed(tmp_path / "list.txt", [write(tmp_path / "a.h5", 3)])
    transformed = layer(source, 2)
    transformed.transform_param.scale = 2
    with Sources() as sources:
        with pytest.raises(EmotiwError, match="no transform_param"):
            sources(transformed)
        with pytest.raises(EmotiwError, match="its hdf5_data_param has no batch_size"):
            sources(layer(source, 0))
        with pytest.raises(EmotiwError, match=r"none\.txt: No such file"):
            sources(layer(tmp_path / "none.txt", 2))
