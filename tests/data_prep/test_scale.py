"""What a set of CASIA-WebFace's size takes: memory, and room on the disk."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from emotiw.data_prep import preparing
from emotiw.data_prep.drawn_layouts import write_records
from emotiw.data_prep.preparing import prepare
from emotiw.data_prep.representing import Settings
from emotiw.data_prep.room import pages, pixels
from emotiw.data_prep.sets import open_set
from emotiw.errors import EmotiwError

CASIA = 494_414
ONE = Settings("identities", ("rgb",))


def test_casia_takes_97_gb_a_representation():
    """494,414 x 256 x 256 x 3 = 97,205,747,712; a Datum of 196,608 pixels needs 49 pages of 4096 bytes, not 48."""
    assert pixels(CASIA, ONE) == 97_205_747_712
    assert pages(CASIA, ONE) == CASIA * 49 * 4096 == 99_230_867_456
    five = replace(ONE, representations=("rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10"))
    assert pixels(CASIA, five) == 5 * 97_205_747_712


@pytest.mark.parametrize("size", [64, 256])
def test_the_room_foretold_is_the_room_taken(source, tmp_path, size):
    settings = Settings("emotions", ("rgb", "lbp"), size=size)
    prepare(source, tmp_path / "set", settings)
    taken = sum(path.stat().st_size for path in (tmp_path / "set").rglob("data.mdb"))
    # Besides the Datums: the tree of keys, and LMDB's own pages.
    assert pages(24, settings) <= taken <= pages(24, settings) + 2 * 12 * 4096


def test_what_an_interrupted_set_has_already_is_not_asked_for_again(source, tmp_path, monkeypatch):
    settings, said, made = Settings("emotions", ("rgb",), size=64), [], []
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
    with pytest.raises(EmotiwError, match=r"the set needs 0\.0 GB"):
        prepare(source, tmp_path / "another", settings)
    prepare(source, tmp_path / "set", settings, say=said.append)
    assert said[0].endswith(", raw: 0.00 GB, 12 images of it are there, and 0.00 GB are free")
    assert open_set(tmp_path / "set").count("train") == 24


def test_png_says_that_it_will_be_less(source, tmp_path):
    said = []
    prepare(source, tmp_path / "set", Settings("emotions", ("rgb",), size=64, store="png"), say=said.append)
    assert re.search(r", png: at most 0\.00 GB \(by experience half\), and \d+\.\d\d GB are free$", said[0])


def test_the_keys_of_an_lmdb_are_read_without_what_they_name(source, tmp_path):
    """Of what the kernel read from the disk for this process; where /proc does not count it, nothing is shown."""
    prepare(source, tmp_path / "set", Settings("emotions", ("rgb",), size=512))
    data = tmp_path / "set/rgb/train_lmdb/data.mdb"
    with data.open("rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    code = (
        "import sys; from pathlib import Path; from emotiw.data_prep.sets import keys_of, reading; import lmdb\n"
        "read = lambda: int(Path('/proc/self/io').read_text().split('read_bytes: ')[1].split()[0])\n"
        "before = read(); keys = keys_of(Path(sys.argv[1])); print(len(keys), read() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, data.parent], capture_output=True, text=True, check=True)
    count, taken = map(int, done.stdout.split())
    assert count == 24
    assert taken < data.stat().st_size / 10


# Memory


def records(folder: Path, count: int) -> Path:
    """A RecordIO of so many pictures of 16 x 16, of 300 different ones, 50 of each person."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 16, 16, 3), np.uint8)
    pictures = [cv2.imencode(".png", picture)[1].tobytes() for picture in noise]
    folder.mkdir()
    samples = [(0, (float(k // 50),), pictures[k % 300]) for k in range(count)]
    write_records(folder / "train.rec", [(2, (count + 1, count + 1 + count // 50), b""), *samples])
    return folder


def memory(group: int) -> int:
    """The bytes of memory of their own that the processes of a group hold now; pages of files are not counted."""
    held = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                held += int(re.search(r"RssAnon:\s+(\d+) kB", (process / "status").read_text())[1]) << 10
        except (OSError, TypeError):  # it has ended
            continue
    return held


def peak(command: list[str]) -> int:
    """Run a command to its end; return the most memory that it and its processes held at once."""
    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    try:
        while child.poll() is None:
            most = max(most, memory(child.pid))
            time.sleep(0.05)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    assert child.returncode == 0
    return most


@pytest.mark.slow
def test_a_hundred_thousand_images_keep_memory_flat(tmp_path):
    """What grows is a row of text an image: where it lies, whose it is, its sha256; never its pixels."""
    peaks = {}
    for count in (10_000, 100_000):
        source, made = records(tmp_path / f"{count}", count), tmp_path / f"set{count}"
        options = ["--labels", "identities", "-r", "rgb", "--size", "32", "--val", "0.1", "--jobs", "2"]
        peaks[count] = peak([sys.executable, "-m", "emotiw", "prepare", str(source), "-o", str(made), *options])
        prepared = open_set(made)
        assert (prepared.count("train"), prepared.count("val")) == (0.9 * count, 0.1 * count)
        assert sum(1 for _ in prepared.records("rgb", "val")) == 0.1 * count
    growth = (peaks[100_000] - peaks[10_000]) / 90_000
    print(f"peak {peaks[10_000] >> 20} MB, then {peaks[100_000] >> 20} MB: {growth:.0f} bytes an image")
    # A path, a class, a group, a sha256 and their objects are about 1 kB: half a GB for CASIA-WebFace. Their Datums
    # would be 3 kB more here, and 197 kB at 256 x 256.
    assert growth < 1500
