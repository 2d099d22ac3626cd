"""Batches of the real Caffe's Data layer, and ours."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import torch

from emotiw.engine.child_process import leashed, running
from emotiw.engine.torch.data.lmdb_source import LmdbSource, Sources
from emotiw.engine.torch.graph import State, graph_of
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import write_mean
from emotiw.prototxt.formats.lmdb import keys_of
from emotiw.prototxt.formats.messages import Datum, LayerParameter, NetParameter, parse_text

PASSES = 6


def raw(image, label=0):
    channels, height, width = image.shape
    return Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=label)


def floats(image, label=0):
    channels, height, width = image.shape
    return Datum(channels=channels, height=height, width=width, float_data=image.ravel().tolist(), label=label)


def encoded(image, label=0, kind=".png"):
    """Of (C, H, W); one channel is a grey picture, four have an alpha."""
    picture = image.transpose(1, 2, 0)
    return Datum(data=cv2.imencode(kind, picture)[1].tobytes(), encoded=True, label=label)


def write_lmdb(path, datums):
    with lmdb.open(str(path), map_size=1 << 28) as environment, environment.begin(write=True) as transaction:
        for k, datum in enumerate(datums):
            value = datum if isinstance(datum, bytes) else datum.SerializeToString()
            transaction.put(f"{k:08d}_{k}.png".encode(), value)
    return path


def images(count, shape=(3, 12, 11), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def layer(path, batch=3, transform="", data="", phase="TEST"):
    text = (
        f'name: "data" type: "Data" top: "data" top: "label" phase: {phase} transform_param {{ {transform} }} '
        f'data_param {{ source: "{path}" batch_size: {batch} backend: LMDB {data} }}'
    )
    return parse_text(text, LayerParameter, "test")


def of_sizes(kind):
    return [kind(images(1, (3, 9 + k, 14 - k), k)[0], k) for k in range(4)]


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """Data layers by name."""
    folder = tmp_path_factory.mktemp("lmdbs")

    def lmdb_of(name, datums):
        return write_lmdb(folder / name, datums)

    seven = lmdb_of("seven", [raw(image, k - 1) for k, image in enumerate(images(7))])
    grey = lmdb_of("grey", [encoded(image, k) for k, image in enumerate(images(4, (1, 8, 9)))])
    png = lmdb_of("png", [encoded(image, k) for k, image in enumerate(images(5))])
    sizes, pngs = lmdb_of("sizes", of_sizes(raw)), lmdb_of("pngs", of_sizes(encoded))
    write_mean(folder / "mean", np.random.default_rng(9).uniform(90, 150, (3, 12, 11)).astype(np.float32))
    write_mean(folder / "grey mean", np.random.default_rng(9).uniform(90, 150, (1, 8, 9)).astype(np.float32))
    mean, grey_mean = f'mean_file: "{folder / "mean"}" ', f'mean_file: "{folder / "grey mean"}" '
    return {
        "plain": layer(seven),
        "crop": layer(seven, 2, "crop_size: 6"),
        "mean_file": layer(seven, 2, mean),
        "mean_file, crop, scale": layer(seven, 4, mean + "crop_size: 7 scale: 0.00390625"),
        "odd scale": layer(seven, 4, mean + "crop_size: 8 scale: 0.017"),
        "mean_value": layer(seven, 3, "mean_value: 127.3 crop_size: 5"),
        "mean_values": layer(seven, 3, "mean_value: 104.1 mean_value: 117.2 mean_value: 123.3 scale: 0.3"),
        "batches over several rounds": layer(seven, 17, "crop_size: 3"),
        "rand_skip does nothing": layer(seven, 3, data="rand_skip: 5"),
        "prefetch": layer(seven, 3, data="prefetch: 1"),
        "one image": layer(lmdb_of("one", [raw(images(1)[0], 3)]), 2),
        "large labels": layer(lmdb_of("large", [raw(images(1)[0], n) for n in (10574, -(2**31), 2**24 + 1)]), 1),
        "float_data": layer(
            lmdb_of("floats", [floats(np.float32(image) / 7, k) for k, image in enumerate(images(5))]),
            2,
            mean + "crop_size: 7 scale: 0.017",
        ),
        "png": layer(png, 2, mean + "crop_size: 7"),
        "grey png": layer(grey, 2, grey_mean),
        "grey png, force_color": layer(grey, 2, "force_color: true mean_value: 3"),
        "png, force_gray": layer(png, 2, "force_gray: true"),
        "png with alpha": layer(lmdb_of("alpha", [encoded(image) for image in images(3, (4, 5, 6))]), 2),
        "sizes, crop": layer(sizes, 4, "crop_size: 6 mean_value: 9"),
        "sizes of png, crop": layer(pngs, 3, "crop_size: 8"),
        "sizes, one an image": layer(sizes, 1),
        "raw and png": layer(
            lmdb_of("mixed", [(raw, encoded)[k % 2](image, k) for k, image in enumerate(images(6))]), 3
        ),
        "mirror in TEST": layer(seven, 35, mean + "crop_size: 7 mirror: true"),
        "TRAIN": layer(seven, 35, mean + "crop_size: 7 mirror: true scale: 0.017", phase="TRAIN"),
        "jpeg": layer(
            lmdb_of("jpeg", [encoded(image, k, ".jpg") for k, image in enumerate(images(9, (3, 41, 30)))]), 2
        ),
    }


RANDOM = ("mirror in TEST", "TRAIN")
NAMES = (
    *("plain", "crop", "mean_file", "mean_file, crop, scale", "odd scale", "mean_value", "mean_values"),
    *("batches over several rounds", "rand_skip does nothing", "prefetch", "one image", "large labels", "float_data"),
    *("jpeg", "png", "grey png", "grey png, force_color", "png, force_gray", "png with alpha"),
    *("sizes, crop", "sizes of png, crop", "sizes, one an image", "raw and png"),
)


@pytest.fixture(scope="module")
def by_caffe(layers, make_case, in_caffe):
    """The batches of the real Caffe's layers, by name: [(data, label), ...]."""
    cases = {}
    for name, param in layers.items():
        phase = "TRAIN" if name == "TRAIN" else "TEST"
        cases[name] = make_case(str(NetParameter(layer=[param])), phase=phase, backward=False, passes=PASSES)
    reported = in_caffe(cases)
    return {name: [(t[f"pass:{k}:data"], t[f"pass:{k}:label"]) for k in range(PASSES)] for name, t in reported.items()}


def by_us(param, passes=PASSES, **kwargs):
    with Sources(**kwargs) as sources:
        source = sources(param)
        return [tuple(tensor.numpy() for tensor in source.next()) for _ in range(passes)]


@pytest.mark.caffe
@pytest.mark.parametrize("name", NAMES)
def test_batches_are_caffes_to_the_bit(layers, by_caffe, name):
    assert {*NAMES, *RANDOM} == layers.keys()
    for (data, label), (their_data, their_label) in zip(by_us(layers[name]), by_caffe[name], strict=True):
        np.testing.assert_array_equal(label, their_label)
        np.testing.assert_array_equal(data, their_data)
        assert data.dtype == label.dtype == np.float32


def candidates(param, phase):
    """Every crop and mirror that a layer may give of each image of its LMDB, by label: bytes -> place."""
    by_label = {}
    mean = by_us(layer(param.data_param.source, 7, f'mean_file: "{param.transform_param.mean_file}"'), 1)[0]
    whole, crop = mean[0] * np.float32(param.transform_param.scale), param.transform_param.crop_size
    tops, lefts = ([(side - crop) // 2] if phase == "TEST" else range(side - crop + 1) for side in whole.shape[2:])
    for image, label in zip(whole, mean[1], strict=True):
        by_label[label] = found = {}
        for top in tops:
            for left in lefts:
                cut = image[:, top : top + crop, left : left + crop]
                found[cut.tobytes()] = (top, left, False)
                found[np.ascontiguousarray(cut[..., ::-1]).tobytes()] = (top, left, True)
    return by_label


@pytest.mark.caffe
@pytest.mark.parametrize("name", RANDOM)
def test_random_crops_and_mirrors_are_caffes_except_the_draws(layers, by_caffe, name):
    param, phase = layers[name], "TRAIN" if name == "TRAIN" else "TEST"
    known = candidates(param, phase)
    for batches in (by_us(param, seed=0), by_caffe[name]):
        drawn = []
        for data, labels in batches:
            assert labels.tolist() == [-1, 0, 1, 2, 3, 4, 5] * 5
            drawn += [known[label][image.tobytes()] for image, label in zip(data, labels, strict=True)]
        assert len(drawn) == 210
        # Of 210 coins 105 fall on one side; standard deviation 7.
        assert 70 < sum(mirrored for _, _, mirrored in drawn) < 140
        tops, lefts = ({place[axis] for place in drawn} for axis in (0, 1))
        assert (tops, lefts) == ((set(range(6)), set(range(5))) if phase == "TRAIN" else ({2}, {2}))


def test_a_seed_decides_the_draws(layers):
    def data(**kwargs):
        return np.stack([data for data, _ in by_us(layers["TRAIN"], 2, **kwargs)])

    assert np.array_equal(data(seed=4), data(seed=4))
    assert not np.array_equal(data(seed=4), data(seed=5))
    assert not np.array_equal(data(), data())


def test_several_ranks_share_out_the_lmdb_of_training(layers):
    """Each takes every third record, counted on over epochs: Caffe's DataLayer::Skip."""
    param, test = LayerParameter(), LayerParameter()
    param.CopyFrom(layers["plain"])
    param.phase = 0
    endless = [k % 7 - 1 for k in range(100)]
    for rank in range(3):
        labels = np.concatenate([label for _, label in by_us(param, 5, rank=rank, ranks=3)])
        assert labels.tolist() == endless[rank::3][:15]
    test.CopyFrom(layers["plain"])
    assert by_us(test, 1, rank=2, ranks=3)[0][1].tolist() == [-1, 0, 1]  # each tests on all


def test_paths_are_relative_to_a_folder(layers):
    param = LayerParameter()
    param.CopyFrom(layers["mean_file"])
    place = Path(param.data_param.source)
    param.data_param.source, param.transform_param.mean_file = place.name, "mean"
    np.testing.assert_array_equal(by_us(param, 1, folder=place.parent)[0][0], by_us(layers["mean_file"], 1)[0][0])


NET = """
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param { num_output: 6 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: -1 } }
"""


def net_of(param):
    net = parse_text(NET, NetParameter, "test")
    net.layer.insert(0, param)
    return net


def test_a_net_takes_its_batches_and_a_test_net_keeps_its_place(layers):
    """Two nets on one LMDB in one process, each with its own cursor."""
    with Sources(seed=0) as sources:
        train, test = (
            Net(graph_of(net_of(layers[name]), State(phase)), sources, seed=0)
            for name, phase in (("large labels", "TRAIN"), ("crop", "TEST"))
        )
        assert train.shapes["data"] == (1, 3, 12, 11)
        assert test.shapes["data"] == (2, 3, 6, 6)
        with pytest.raises(
            EmotiwError, match=r"layer 'data' .*large: the record .* has label 10574, which is none of the 6"
        ):
            train()
        net = Net(graph_of(net_of(layers["crop"]), State("TEST")), sources, seed=0)
        seen = []
        for k in range(6):
            net.run(0, 1)
            seen += net.blobs["label"].tolist()
            if k % 2:
                test.run(0, 1)  # does not move the first net's cursor
        assert seen == [k % 7 - 1 for k in range(12)]


def test_others_may_read_an_lmdb_meanwhile(layers):
    with Sources() as sources:
        source = sources(layers["plain"])
        first = source.next()[1]
        assert len(keys_of(Path(layers["plain"].data_param.source))) == 7
        again = sources(layers["plain"])
        assert torch.equal(again.next()[1], first)
        assert source.next()[1].tolist() == [2, 3, 4]
    assert len(keys_of(Path(layers["plain"].data_param.source))) == 7


def test_memory_is_flat_and_order_kept_while_reading_ahead(tmp_path):
    """Only as many batches as may wait are read, and slow and fast readers get them in order."""
    path = write_lmdb(tmp_path / "lmdb", [raw(image, k) for k, image in enumerate(images(50, (3, 128, 128)))])
    seen = []
    with Sources() as sources:
        source = sources(layer(path, 8, data="prefetch: 2"))
        for k in range(40):
            seen += source.next()[1].tolist()
            if k < 4:
                waits_for(lambda: source._ahead._queue.qsize() == 2)
                time.sleep(0.05)
                assert source._ahead._queue.qsize() == 2  # and no fuller
            if k == 10:
                before = resident()
        # 30 batches of 8 x 48 KiB passed through, 11.25 MiB of bytes, and 45 as floats.
        assert resident() - before < 8 << 20
    assert seen == [k % 50 for k in range(320)]


def waits_for(true):
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("not within a minute")


def resident():
    """Return our private memory in bytes; an LMDB's pages belong to the system."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) << 10


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def test_no_thread_is_left(layers):
    with Sources() as sources:
        source = sources(layers["png"])
        assert not reading_threads()  # it begins with the first batch
        source.next()
        assert len(reading_threads()) == 1
    assert not reading_threads()
    with pytest.raises(RuntimeError, match="closed"):
        source.next()
    source.close()
    alone = LmdbSource(layers["png"])
    alone.next()
    assert len(reading_threads()) == 1
    del alone
    gc.collect()
    assert not reading_threads()


SCRIPT = """
import os, sys
from pathlib import Path
from emotiw.engine.torch.data.lmdb_source import LmdbSource
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import LayerParameter, parse_text
source = LmdbSource(parse_text(Path(sys.argv[1]).read_text(), LayerParameter, "script"))
first = source.next()[1].tolist()
"""


@contextmanager
def run_script(params, tmp_path, end):
    """Yield a process that has taken its first batch and then runs `end`."""
    files = [tmp_path / f"layer{k}" for k in range(len(params))]
    for file, param in zip(files, params, strict=True):
        file.write_text(str(param))
    command = [sys.executable, "-c", SCRIPT + end, *files]
    with running(leashed(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)) as child:
        yield child


def last_of(child):
    """Wait for the end of a process; return what it wrote."""
    return tuple(stream.decode().strip() for stream in child.communicate(timeout=60))


@pytest.mark.parametrize(
    ("end", "status"), [("", 0), ("sys.exit(3)", 3), ("raise KeyError", 1), ("os.kill(os.getpid(), 15)", -15)]
)
def test_a_program_ends_while_a_thread_reads_ahead(layers, tmp_path, end, status):
    with run_script([layers["png"]], tmp_path, end) as child:
        _, noise = last_of(child)
        assert child.returncode == status
    assert noise == "" or noise.endswith("KeyError")


def test_ctrl_c_ends_a_program_that_waits_for_a_batch(layers, tmp_path):
    end = "print('ready', flush=True)\nwhile True: source.next()"
    with run_script([layers["png"]], tmp_path, end) as child:
        assert child.stdout.readline() == b"ready\n"
        os.killpg(child.pid, signal.SIGINT)
        _, noise = last_of(child)
        assert child.returncode == -signal.SIGINT
    assert noise.endswith("KeyboardInterrupt")


FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
pid = os.fork()
if not pid:
    try:
        source.next()
    except RuntimeError as error:
        print(error)
    source.close()
    try:
        LmdbSource(parse_text(Path(sys.argv[1]).read_text(), LayerParameter, "script"))
    except EmotiwError as error:
        print(str(error).partition(" was ")[2])
    other = LmdbSource(parse_text(Path(sys.argv[2]).read_text(), LayerParameter, "script"))
    print(other.next()[1].tolist(), flush=True)
    sys.exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), source.next()[1].tolist())
"""


def test_a_fork_reads_nothing_of_its_parents(layers, tmp_path):
    """The child gets an error, can read other LMDBs, and ends; the parent continues."""
    with run_script([layers["png"], layers["plain"]], tmp_path, FORK) as child:
        out, noise = last_of(child)
    reported, again, others, parents = out.splitlines()
    assert reported == "a prefetch thread does not survive a fork: open the source after the fork"
    assert again == "being read when this process was forked: use the start method spawn instead"
    assert others == "[-1.0, 0.0, 1.0]"
    assert parents == "5 [2.0, 3.0]"
    assert noise == ""


def refusal(param, passes=1):
    with pytest.raises(EmotiwError) as caught:
        by_us(param, passes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path_that_is_not_an_lmdb_is_refused_in_a_line(layers, tmp_path):
    assert refusal(layer(tmp_path / "none")) == f"{tmp_path / 'none'} is not an LMDB: no such folder"
    assert refusal(layer(tmp_path)) == f"{tmp_path} is not an LMDB: no data.mdb in it"
    (tmp_path / "file").touch()
    assert refusal(layer(tmp_path / "file")) == f"{tmp_path / 'file'} is not an LMDB: it is a file"
    empty = write_lmdb(tmp_path / "empty", [])
    assert refusal(layer(empty)) == f"{empty} is empty"
    data = Path(layers["plain"].data_param.source, "data.mdb").read_bytes()
    for name, content in (("short", data[: len(data) // 2]), ("noise", b"\7" * 9000), ("nothing", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.mdb").write_bytes(content)
        reported = refusal(layer(tmp_path / name))
        assert "is cut off: copy it again" in reported or "is not a complete LMDB" in reported
    assert "only `backend: LMDB` is read" in refusal(LayerParameter(type="Data"))
    assert refusal(layer(empty, batch=0)) == "its data_param has no batch_size"


DAMAGED = {
    "not a Datum": (b"\xff\xff\xff", "it is not a Caffe Datum"),
    "cut off": (raw(images(1)[0]).SerializeToString()[:-9], "it is not a Caffe Datum"),
    "too few bytes": (
        Datum(channels=3, height=12, width=11, data=b"12"),
        "its size is 3 x 12 x 11, but it holds 2 values",
    ),
    "no bytes": (Datum(channels=3, height=12, width=11), "its size is 3 x 12 x 11, but it holds 0 values"),
    "no sides": (Datum(), "its size is 0 x 0 x 0, but it holds 0 values"),
    "negative": (Datum(channels=-1, height=-1, width=1, data=b"1"), "its size is -1 x -1 x 1, but it holds 1 values"),
    "no picture": (Datum(encoded=True), "its picture cannot be decoded"),
    "noise": (Datum(encoded=True, data=b"\x89PNG\r\n\x1a\n noise"), "its picture cannot be decoded"),
    "16 bits": (encoded(np.zeros((3, 12, 11), np.uint16)), "its picture is uint16: Caffe needs 8 bits per channel"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_datum_is_named(tmp_path, name):
    """Both the first record, which a net reads while it is built, and a later one."""
    datum, reason = DAMAGED[name]
    good = [raw(image) for image in images(3)]
    for place, passes in ((0, 1), (3, 2)):
        path = write_lmdb(tmp_path / str(place), [*good[:place], datum, *good[place:]])
        key = f"{place:08d}_{place}.png"
        said = refusal(layer(path, 2), passes)
        assert said == f"{path}: the record '{key}' is damaged: {reason}; make the LMDB again"


def test_an_error_stays_and_comes_in_its_turn(tmp_path):
    path = write_lmdb(tmp_path / "lmdb", [*(raw(image) for image in images(4)), b"\xff"])
    with Sources() as sources:
        source = sources(layer(path, 2))
        source.next()
        source.next()
        for _ in range(3):
            with pytest.raises(EmotiwError, match=r"'00000004_4\.png' is damaged"):
                source.next()


def test_images_that_do_not_fit_are_refused_in_a_line(layers, tmp_path):
    seven, sizes = (layers[name].data_param.source for name in ("plain", "sizes, crop"))
    write_mean(tmp_path / "mean", np.zeros((3, 12, 12), np.float32))
    assert refusal(layer(seven, transform=f'mean_file: "{tmp_path / "mean"}"')) == (
        f"{seven}: an image of 3 x 12 x 11 does not fit the mean {tmp_path / 'mean'} of 3 x 12 x 12: "
        "name the mean of this LMDB"
    )
    assert refusal(layer(seven, transform="crop_size: 12")) == (
        f"{seven}: an image of 3 x 12 x 11 is smaller than crop_size 12"
    )
    assert refusal(layer(sizes, 2)) == (
        f"{sizes}: images of 3 x 10 x 13 and of 3 x 9 x 14 in one batch: they must have one size, or a crop_size"
    )
    assert "force_color and force_gray" in refusal(layer(seven, transform="force_color: true force_gray: true"))


@pytest.mark.gpu
def test_a_gpu_is_fed_the_same_bits(layers):
    for name in ("mean_file, crop, scale", "TRAIN", "png", "sizes, crop"):
        with Sources(device="cuda", seed=0) as sources:
            source = sources(layers[name])
            for ours in by_us(layers[name], seed=0):
                on_gpu = source.next()
                assert all(tensor.is_cuda for tensor in on_gpu)
                for tensor, array in zip(on_gpu, ours, strict=True):
                    np.testing.assert_array_equal(tensor.cpu().numpy(), array)
