"""The record of inputs: what a reader hashes, reports and caches."""

import json
import os
import shutil
from dataclasses import asdict, fields, replace

import pytest

from emotiw import inputs
from emotiw.errors import EmotiwError
from emotiw.inputs import (
    SMALL,
    Input,
    Look,
    compare,
    digest_of,
    read_sealed,
    require_seal,
    require_unchanged,
    sealed,
    taken,
    unsealed,
    value,
    write_sealed,
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mean"
    path.write_bytes(b"first")
    return path


def counting(path):
    """A digest function that records the files that it is called with."""
    counting.asked.append(path.name)
    return inputs.file_digest(path)


@pytest.fixture(autouse=True)
def _asked():
    counting.asked = []


def test_what_has_the_same_size_time_and_inode_is_not_hashed(file):
    recorded = taken("mean", file)
    for look in (Look.STAT, Look.SMALL, Look.CHANGED):
        assert compare(recorded, file, look, counting) is None
    assert counting.asked == []
    assert compare(recorded, file, Look.ALL, counting) is None
    assert counting.asked == ["mean"]


@pytest.mark.parametrize("look", [Look.SMALL, Look.CHANGED, Look.ALL])
def test_another_content_is_named_with_both_digests(file, look):
    recorded = taken("mean", file)
    file.write_bytes(b"other")
    os.utime(file, ns=(1, 1))
    found = compare(recorded, file, look)
    other = taken("mean", file).sha256[:12]
    assert (found.proven, found.words) == (
        True,
        f"{file} is not the mean on record: sha256 {other}, recorded {recorded.sha256[:12]}",
    )


def test_a_copy_is_hashed_once(file, tmp_path):
    recorded, copy = taken("mean", file), tmp_path / "copy"
    shutil.copy(file, copy)
    unsure = compare(recorded, copy, Look.STAT, counting)
    assert (unsure.proven, counting.asked) == (False, [])
    assert "was not hashed" in unsure.words
    assert [compare(recorded, copy, look, counting) for look in (Look.CHANGED, Look.CHANGED, Look.STAT)] == [None] * 3
    assert counting.asked == ["copy"]
    os.utime(copy, ns=(1, 1))
    assert compare(recorded, copy, Look.CHANGED, counting) is None
    assert counting.asked == ["copy", "copy"]


def test_a_large_file_is_not_hashed_by_look_small(file, tmp_path):
    file.write_bytes(bytes(SMALL + 1))
    recorded = taken("model", file)
    shutil.copy(file, tmp_path / "copy")
    assert not compare(recorded, tmp_path / "copy", Look.SMALL, counting).proven
    assert counting.asked == []


def test_a_missing_file_is_reported(file):
    recorded = taken("mean", file)
    file.unlink()
    assert compare(recorded, file, Look.ALL).words == f"{file}, the mean on record, is not there"
    with pytest.raises(EmotiwError, match="the mean, was replaced while it was read"):
        require_unchanged([recorded])


def test_what_is_replaced_by_the_same_is_replaced(file):
    recorded = taken("mean", file)
    require_unchanged([recorded, value("colours", b"12")])
    os.utime(file, ns=(1, 1))
    with pytest.raises(EmotiwError, match="the mean, was replaced while it was read: run the same command again"):
        require_unchanged([recorded])


def test_a_memory_that_cannot_be_written_is_none(file, monkeypatch, tmp_path):
    (tmp_path / "no folder").write_text("")
    monkeypatch.setattr(inputs, "cache_folder", lambda: tmp_path / "no folder")
    assert digest_of(file) == digest_of(file) == taken("mean", file).sha256


def test_the_memory_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_MOST_REMEMBERED", 4)
    monkeypatch.setattr(inputs, "cache_folder", lambda: tmp_path / "cache")
    for number in range(20):
        (tmp_path / f"{number}").write_text(f"{number}")
        digest_of(tmp_path / f"{number}")
    assert len(list((tmp_path / "cache/digests").iterdir())) <= 4


@pytest.mark.parametrize("name", [field.name for field in fields(Input)])
def test_a_seal_notices_every_field(tmp_path, name):
    record = Input("mean", "x", 1, 2, 3, "a" * 64)
    path = tmp_path / "record.json"
    write_sealed(path, asdict(record))
    assert read_sealed(path, Input) == record
    values = json.loads(path.read_text())
    other = values | {name: values[name] + values[name]}
    path.write_text(json.dumps(other))
    with pytest.raises(ValueError, match="changed after it was written"):
        read_sealed(path, Input)
    path.write_text(json.dumps(asdict(replace(record, size=9))))  # of an older version, without a seal
    assert read_sealed(path, Input).size == 9


def test_a_seal_does_not_mind_how_json_is_written():
    values = {"b": (1, 2.5, None), "a": "ü"}
    again = json.loads(json.dumps(sealed(values), indent=3, sort_keys=True))
    require_seal(again)
    assert unsealed(again) == {"b": [1, 2.5, None], "a": "ü"}
    require_seal([1])
    assert unsealed([1]) == [1]
