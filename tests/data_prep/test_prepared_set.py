import json
import shutil

import lmdb
import numpy as np
import pytest

from emotiw.data_prep.image_list import Image
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import manifest_lines, open_set
from emotiw.data_prep.transform import Outcome, Settings
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.formats.datum import decode, encode
from emotiw.prototxt.formats.lmdb import keys_of
from emotiw.prototxt.formats.messages import Datum

FLOATS = Datum(channels=1, height=1, width=1, float_data=[1]).SerializeToString()


@pytest.fixture
def folder(source, tmp_path):
    prepare(source, tmp_path / "set", Settings("emotions", ("rgb", "lbp"), size=16, val=0.25, seed=1))
    return tmp_path / "set"


def refusal(call) -> str:
    with pytest.raises(EmotiwError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("store", ["raw", "png"])
def test_a_datum_decodes_to_planes_of_blue_green_red(store):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    encoded = encode(rgb, 6, store)
    blob, label = decode(encoded.datum)
    np.testing.assert_array_equal(blob, encoded.blob)
    assert (blob.shape, blob.dtype, label) == ((3, 5, 4), np.uint8, 6)
    np.testing.assert_array_equal(blob[0], rgb[..., 2])
    np.testing.assert_array_equal(blob[2], rgb[..., 0])


def test_a_set_gives_its_facts(folder):
    prepared = open_set(folder)
    assert prepared.classes == ["Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
    assert prepared.size == 16
    assert (prepared.count("train"), prepared.count("val"), prepared.count("test")) == (18, 6, 0)
    assert len(prepared.digest) == 64
    assert prepared.mean_file("lbp") == folder / "lbp/mean.binaryproto"
    assert list(prepared.manifest[0]) == ["path", "label", "name", "split", "group", "sha256", "pixels", "same_pixels"]


def test_the_records_are_the_manifests_images(folder):
    prepared = open_set(folder)
    for split in ("train", "val"):
        rows = {row["path"]: int(row["label"]) for row in prepared.manifest if row["split"] == split}
        assert {record.path: record.label for record in prepared.records("rgb", split)} == rows
    blobs = [record.blob for record in prepared.records("rgb", "train")]
    assert (blobs[0].shape, blobs[0].dtype) == ((3, 16, 16), np.uint8)
    np.testing.assert_allclose(read_mean(prepared.mean_file("rgb")), np.mean(blobs, axis=0), rtol=1e-6)


def test_some_records_are_spread_evenly(folder):
    paths = [record.path for record in open_set(folder).records("rgb", "train")]
    for most in range(1, 20):
        some = [record.path for record in open_set(folder).records("rgb", "train", most)]
        assert len(some) == min(most, 18)
        assert some[0] == paths[0]
        steps = np.diff([paths.index(path) for path in some])
        assert len(steps) == 0 or steps.max() - steps.min() <= 1
        assert len(steps) == 0 or 18 - paths.index(some[-1]) <= steps.max() + 1


def test_records_of_some_paths_do_not_decode_others(folder, monkeypatch):
    records = {record.path: record.blob for record in open_set(folder).records("lbp", "train")}
    wanted, decoded = sorted(records)[4:7], []
    monkeypatch.setattr("emotiw.data_prep.prepared_set.decode", lambda datum: decoded.append(datum) or decode(datum))
    found = list(open_set(folder).records("lbp", "train", only=wanted))
    assert sorted(record.path for record in found) == wanted
    assert all(np.array_equal(record.blob, records[record.path]) for record in found)
    assert len(decoded) == 3
    assert list(open_set(folder).records("lbp", "train", only=[])) == []


@pytest.mark.parametrize(
    "value", [b"\xff\xff", b"", Datum(channels=1, height=1, width=1, float_data=[1]).SerializeToString()]
)
def test_a_damaged_record_is_named(folder, value):
    """It is damaged, or has another label than the manifest, which is compared before any picture is decoded."""
    path = open_set(folder).lmdb("rgb", "train")
    key = next(key for key in keys_of(path) if b"Angry" not in key)  # its label is not 0, which an empty Datum has
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.put(key, value)
    said = refusal(lambda: list(open_set(folder).records("rgb", "train")))
    _, _, name = key.decode().partition("_")
    if value == b"\xff\xff":
        assert said.startswith(f"{path}: the record {key.decode()!r} is damaged: ")
    else:
        assert said.startswith(f"{path} does not match its manifest: {name} has label 0 there and ")


def test_an_lmdb_can_be_read_twice_at_once(folder, monkeypatch):
    monkeypatch.setattr("emotiw.data_prep.prepared_set._READ_AHEAD", 4)
    prepared = open_set(folder)
    pairs = list(zip(prepared.records("rgb", "train"), open_set(folder).records("rgb", "train"), strict=True))
    assert len(pairs) == 18
    assert all(one.path == other.path for one, other in pairs)


def test_the_error_for_a_missing_part_names_the_remedy(folder):
    prepared = open_set(folder)
    assert refusal(lambda: prepared.lmdb("cyclic_lbp", "train")) == (
        f"{folder} holds no cyclic_lbp, only rgb, lbp: add it by emotiw prepare {folder.parent / 'faces'} -o {folder} "
        "-r cyclic_lbp --extend"
    )
    assert refusal(lambda: prepared.lmdb("rgb", "test")) == (
        f"{folder} holds no test split: prepare it with a folder named test or --splits"
    )
    shutil.rmtree(folder / "rgb/val_lmdb")
    assert refusal(lambda: prepared.lmdb("rgb", "val")) == (
        f"{folder} holds no val split: prepare it with --val FRACTION, a folder named val or --splits"
    )


def test_a_folder_that_is_not_a_set_is_refused(folder, tmp_path):
    for none in (tmp_path / "none", tmp_path, folder / "set.json"):
        assert refusal(lambda none=none: open_set(none)) == (
            f"{none} is not a prepared set: make one with emotiw prepare SOURCE -o {none}"
        )


def test_a_changed_manifest_is_refused(folder):
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace(",val,", ",train,", 1))
    assert "manifest.csv was changed after the set was prepared: prepare the set again" in refusal(
        lambda: open_set(folder)
    )


def test_another_version_and_a_damaged_set_are_refused(folder):
    facts = json.loads((folder / "set.json").read_text())
    (folder / "set.json").write_text(json.dumps(facts | {"format": 99}))
    assert "was prepared by another version of emotiw" in refusal(lambda: open_set(folder))
    (folder / "set.json").write_text(json.dumps([facts]))
    assert "was prepared by another version of emotiw" in refusal(lambda: open_set(folder))
    for text in (json.dumps(facts)[:40], json.dumps(facts | {"classes": 7}), '{"format": 1}'):
        (folder / "set.json").write_text(text)
        said = refusal(lambda: open_set(folder))
        assert said.startswith(f"{folder / 'set.json'} is damaged (")
        assert said.endswith("): prepare the set again")
    (folder / "set.json").write_text(json.dumps(facts))
    (folder / "rgb/train_lmdb/data.mdb").write_bytes(b"x" * 9000)
    assert "train_lmdb is not a complete LMDB" in refusal(lambda: list(open_set(folder).records("rgb", "train")))


def test_a_set_with_a_missing_or_truncated_file_is_refused(folder):
    """A truncated file is refused; LMDB itself would end the process."""
    data = folder / "rgb/train_lmdb/data.mdb"
    whole = data.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 9000):
        data.write_bytes(whole[:size])
        assert refusal(lambda: open_set(folder).lmdb("rgb", "train")) == (
            f"{data.parent} is cut off: copy it again, or prepare it again"
        )
    shutil.copy(folder / "rgb/val_lmdb/data.mdb", data)
    assert refusal(lambda: list(open_set(folder).records("rgb", "train"))) == (
        f"{data.parent} holds 6 images, its manifest 18: prepare the set again"
    )
    data.write_bytes(whole)
    (folder / "rgb/mean.binaryproto").unlink()
    assert refusal(lambda: open_set(folder).mean_file("rgb")) == (
        f"{folder / 'rgb/mean.binaryproto'} is missing: prepare the set again"
    )


def test_the_manifest_is_by_path_and_quotes_special_characters():
    outcomes = [
        Outcome(Image("b/2.png", "b", 1, "val", "x,y"), "22", "33", ""),
        Outcome(Image("c/3.png", "b", 1, "val", "x,y"), "44", "", "empty file"),
        Outcome(Image("a/1.png", "a", 0, "train", "z"), "11", "33", ""),
    ]
    assert "".join(manifest_lines(outcomes)) == (
        "path,label,name,split,group,sha256,pixels,same_pixels\n"
        'a/1.png,0,a,train,z,11,33,split label\nb/2.png,1,b,val,"x,y",22,33,split label\n'
    )
