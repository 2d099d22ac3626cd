"""A set with exchanged files is refused; a copy of a set is not."""

import json
import shutil

import lmdb
import pytest

from emotiw.data_prep import prepared_set
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.inputs import Look, stamp
from emotiw.prototxt.formats.datum import encode
from emotiw.prototxt.formats.lmdb_digest import content_digest

BOTH = Settings("emotions", ("rgb", "lbp"), 32, val=0.5)


@pytest.fixture
def folder(source, tmp_path):
    prepare(source, tmp_path / "set", BOTH)
    return tmp_path / "set"


def older(folder):
    """Make a set like one of an older version, which recorded no inputs."""
    facts = json.loads((folder / "set.json").read_text())
    del facts["inputs"], facts["seal"]
    (folder / "set.json").write_text(json.dumps(facts))


def replaced(target, source):
    shutil.rmtree(target)
    shutil.copytree(source, target)


def swapped(folder):
    (folder / "rgb/val_lmdb").rename(folder / "away")
    (folder / "rgb/train_lmdb").rename(folder / "rgb/val_lmdb")
    (folder / "away").rename(folder / "rgb/train_lmdb")


def relabelled(folder):
    path = str(folder / "rgb/val_lmdb")
    with lmdb.open(path, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        key, _ = next(iter(transaction.cursor()))
        transaction.put(
            key, encode(next(open_set(folder).records("lbp", "val")).blob.transpose(1, 2, 0), 5, "raw").datum
        )


def test_a_set_records_the_digests_of_its_files(folder):
    recorded = {one.role: one for one in open_set(folder).facts.inputs}
    assert list(recorded) == [
        "LMDB of rgb, train", "LMDB of lbp, train", "LMDB of rgb, val", "LMDB of lbp, val",
        "mean of rgb", "mean of lbp", "colours of lbp",
    ]  # fmt: skip
    for one in recorded.values():
        if one.path:
            assert (one.stamp, one.sha256) == (stamp(folder / one.path), content_digest(folder / one.path))


def test_an_interrupted_call_still_records_everything(source, tmp_path, monkeypatch, folder):
    from emotiw.data_prep import prepare as preparing

    monkeypatch.setattr(preparing, "_COMMIT_EVERY", 3)
    add, calls = preparing.add, []

    def interrupted(*entries):
        add(*entries)
        calls.append(entries)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(preparing, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "again", BOTH)
    monkeypatch.setattr(preparing, "add", add)
    prepare(source, tmp_path / "again", BOTH)
    both = [[(one.role, one.sha256) for one in open_set(each).facts.inputs] for each in (folder, tmp_path / "again")]
    assert both[0] == both[1]


@pytest.mark.parametrize("exchange", [swapped, relabelled], ids=["val and test swapped", "another label"])
@pytest.mark.parametrize("version", ["older", "this"])
def test_keys_and_labels_are_the_manifests(folder, exchange, version):
    """This holds for an older set, too, which has no record of its LMDBs."""
    exchange(folder)
    if version == "older":
        older(folder)
    with pytest.raises(EmotiwError) as caught:
        list(open_set(folder).records("rgb", "val"))
    place = folder / "rgb/val_lmdb"
    assert str(caught.value).startswith((f"{place} does not match its manifest: ", f"{place} holds "))


def test_an_lmdb_of_another_representation_is_refused(folder):
    replaced(folder / "rgb/val_lmdb", folder / "lbp/val_lmdb")
    with pytest.raises(
        EmotiwError, match=r"is not the LMDB of rgb, val on record: sha256 .*, recorded .*: copy it again"
    ):
        open_set(folder).lmdb("rgb", "val")
    open_set(folder).lmdb("rgb", "train")


def test_no_two_lmdbs_have_the_same_time(folder):
    """Otherwise one copied over another with its time, of the same size and in a freed inode, would pass for it."""
    times = [place.stat().st_mtime_ns for place in folder.glob("*/*_lmdb/data.mdb")]
    assert len(set(times)) == len(times) == 4


def test_another_mean_is_refused(folder):
    shutil.copy(folder / "lbp/mean.binaryproto", folder / "rgb/mean.binaryproto")
    with pytest.raises(EmotiwError, match="is not the mean of rgb on record: sha256"):
        open_set(folder).mean_file("rgb")


def test_a_copy_is_hashed_once_and_accepted(folder, tmp_path, monkeypatch):
    copy = shutil.copytree(folder, tmp_path / "copy")
    asked = []
    monkeypatch.setattr(
        prepared_set, "content_digest", counted := lambda path: asked.append(path) or content_digest(path)
    )
    counted.__name__ = "content_digest"
    for _ in range(3):
        open_set(copy).lmdb("rgb", "val")
        open_set(folder).lmdb("rgb", "val")
    assert asked == [copy / "rgb/val_lmdb"]
    open_set(folder, Look.ALL).lmdb("rgb", "val")
    assert asked[1:] == [folder / "rgb/val_lmdb"]


def test_the_labels_of_an_older_set_are_read_once(folder, monkeypatch):
    older(folder)
    read, labels_digest = [], prepared_set.labels_digest
    monkeypatch.setattr(prepared_set, "labels_digest", noted := lambda path: read.append(path) or labels_digest(path))
    noted.__name__ = "labels_digest"
    for _ in range(3):
        open_set(folder).lmdb("rgb", "val")
    assert read == [folder / "rgb/val_lmdb"]


def test_a_changed_set_json_is_refused(folder):
    facts = json.loads((folder / "set.json").read_text())
    for name in facts:
        other = facts | {name: ["x"] if facts[name] != ["x"] else []}
        (folder / "set.json").write_text(json.dumps(other))
        with pytest.raises(EmotiwError, match=r"set\.json is damaged|by another version"):
            open_set(folder)


def test_inputs_of_a_moved_set_have_their_new_paths(folder, tmp_path):
    folder.rename(tmp_path / "moved")
    found = {one.role: one for one in open_set(tmp_path / "moved").inputs("lbp", ["val"], mean=True)}
    assert list(found) == ["manifest", "LMDB of lbp, val", "mean of lbp", "colours of lbp"]
    assert found["LMDB of lbp, val"].path == str(tmp_path / "moved/lbp/val_lmdb")
    older(tmp_path / "moved")
    again = {one.role: one.sha256 for one in open_set(tmp_path / "moved").inputs("lbp", ["val"], mean=True)}
    assert again == {role: one.sha256 for role, one in found.items() if role != "colours of lbp"}
