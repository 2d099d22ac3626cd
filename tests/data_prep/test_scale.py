"""The memory and disk space of a set of CASIA-WebFace's size."""

import logging
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import pytest

from emotiw.data_prep import prepare as preparing
from emotiw.data_prep.disk_space import estimate, pages
from emotiw.data_prep.image_list import Interpretation
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import COLUMNS, open_set
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError

CASIA = 494_414
ONE = Settings("identities", ("rgb",))


def test_casia_takes_99_gb_per_representation():
    """A Datum of 256 x 256 x 3 = 196,608 pixels needs 49 pages of 4096 bytes, not 48."""
    assert pages(CASIA, ONE) == CASIA * 49 * 4096 == 99_230_867_456
    five = replace(ONE, representations=("rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10"))
    assert pages(CASIA, five) == 5 * 99_230_867_456


def test_the_size_that_is_printed_is_the_one_that_is_required(tmp_path):
    """At 64 x 64 a Datum of 12,336 bytes takes four pages, a third more than its pixels: 8.10 GB, not 6.08."""
    small = replace(ONE, size=64)
    assert pages(CASIA, small) == CASIA * 4 * 4096
    assert ", raw: 8.10 GB, and " in estimate(tmp_path, CASIA, 0, small)


@pytest.mark.parametrize("size", [64, 256])
def test_the_estimated_disk_usage_is_the_real_one(source, tmp_path, size):
    settings = Settings("emotions", ("rgb", "lbp"), size=size)
    prepare(source, tmp_path / "set", settings)
    taken = sum(path.stat().st_size for path in (tmp_path / "set").rglob("data.mdb"))
    # Besides the Datums: the tree of keys, and LMDB's own pages.
    assert pages(24, settings) <= taken <= pages(24, settings) + 2 * 12 * 4096


def test_the_space_check_ignores_images_already_written(source, tmp_path, monkeypatch, caplog):
    settings, made = Settings("emotions", ("rgb",), size=64), []
    need = pages(24, settings)

    def represent(*args):
        made.append(args)
        if len(made) > 12:
            raise KeyboardInterrupt
        return represent_one(*args)

    represent_one = preparing.represent
    monkeypatch.setattr(preparing, "represent", represent)
    monkeypatch.setattr(preparing, "_COMMIT_EVERY", 4)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "set", settings)
    monkeypatch.setattr(preparing, "represent", represent_one)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=need // 2))
    with pytest.raises(EmotiwError, match=r"the set needs 0\.00 GB"):
        prepare(source, tmp_path / "another", settings)
    caplog.set_level(logging.INFO, "emotiw")
    prepare(source, tmp_path / "set", settings)
    assert caplog.messages[0].endswith(", raw: 0.00 GB, 12 images are done, and 0.00 GB are free")
    assert open_set(tmp_path / "set").count("train") == 24


def test_the_estimate_for_png_is_an_upper_bound(source, tmp_path, caplog):
    caplog.set_level(logging.INFO, "emotiw")
    prepare(source, tmp_path / "set", Settings("emotions", ("rgb",), size=64, store="png"))
    assert re.search(r", png: at most 0\.00 GB \(by experience half\), and \d+\.\d\d GB are free$", caplog.messages[0])


def test_the_keys_of_an_lmdb_are_read_without_the_values(source, tmp_path):
    """By the bytes that the kernel read from the disk for this process; without them in /proc nothing is tested."""
    prepare(source, tmp_path / "set", Settings("emotions", ("rgb",), size=512))
    data = tmp_path / "set/rgb/train_lmdb/data.mdb"
    with data.open("rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    code = (
        "import sys; from pathlib import Path; from emotiw.prototxt.formats.lmdb import keys_of, reading; import lmdb\n"
        "read = lambda: int(Path('/proc/self/io').read_text().split('read_bytes: ')[1].split()[0])\n"
        "before = read(); keys = keys_of(Path(sys.argv[1])); print(len(keys), read() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, data.parent], capture_output=True, text=True, check=True)
    count, taken = map(int, done.stdout.split())
    assert count == 24
    assert taken < data.stat().st_size / 10


def test_listing_and_checking_many_files_show_their_progress(source, tmp_path, monkeypatch, capsys):
    """At CASIA-WebFace's size, on a network disk, each takes minutes; the bars of short work stay away."""
    prepare(source, tmp_path / "set", replace(ONE, labels="emotions", size=64))
    assert not re.search("list: |check: ", capsys.readouterr().err)
    monkeypatch.setattr("emotiw.progress_bar._SHORT", 0)
    prepare(source, tmp_path / "set", replace(ONE, labels="emotions", size=64))
    assert re.search("list: .*check: ", capsys.readouterr().err, re.S)


@pytest.mark.parametrize("labels", ["identities", "emotions"])
def test_a_path_is_not_parsed_for_each_image(tmp_path, labels):
    """Parsing each path sixteen times took longer than all else that listing half a million images does."""

    def parsed(images):
        for name in ("Angry", "Happy"):
            (tmp_path / name).mkdir(exist_ok=True)
            for number in range(images):
                (tmp_path / name / f"{number:03d}.png").touch()
        count = 0

        def watch(frame, event, _):
            nonlocal count
            code = frame.f_code
            count += (
                event == "call" and "pathlib" in code.co_filename and code.co_name in ("_parse_args", "_parse_path")
            )

        sys.setprofile(watch)
        try:
            listing = list_images(tmp_path, Interpretation(labels, drop_lfw=labels == "identities"))
        finally:
            sys.setprofile(None)
        assert len(listing.images) == 2 * images
        return count

    few = parsed(10)
    assert few > 0
    assert parsed(60) - few < 20  # 100 images more


def test_a_manifest_is_read_in_little_more_than_the_memory_of_its_rows(source, tmp_path):
    """CASIA-WebFace's has half a million rows; every training and scoring reads it."""
    prepare(source, tmp_path / "set", replace(ONE, labels="emotions", size=64))
    prepared, rows = open_set(tmp_path / "set"), 20_000
    digests = (f"{number:064x},{number + rows:064x}" for number in range(rows))
    lines = [
        f"{k // 47:07d}/{k:05d}.jpg,3,Happy,train,{k // 47:07d}/{k:05d}.jpg,{two}," for k, two in enumerate(digests)
    ]
    (tmp_path / "set/manifest.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    tracemalloc.start()
    try:
        assert len(prepared.manifest) == rows
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / rows < 800  # bytes: the dict of a row, its path, and two digests
    assert peak / rows < 1300
    assert prepared.manifest[7]["group"] is prepared.manifest[7]["path"]


def test_an_interrupted_comparison_continues_at_its_position(source, tmp_path, monkeypatch, capsys):
    settings, calls = replace(ONE, labels="emotions", size=64, val=0.5), []

    def note(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        note_pixels(*args)

    note_pixels = preparing.note_pixels
    monkeypatch.setattr(preparing, "note_pixels", note)
    monkeypatch.setattr(preparing, "_COMMIT_EVERY", 4)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "set", settings)
    capsys.readouterr()
    prepare(source, tmp_path / "set", settings)
    assert re.search(r"compare: +33%\|.*\| 8/24 ", capsys.readouterr().err)
