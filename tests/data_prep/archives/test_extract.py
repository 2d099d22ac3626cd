"""RecordIO, LMDBs and FER2013's table in a zip archive give the set of the unpacked files, which are then removed."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import lmdb
import numpy as np
import pytest

from emotiw.data_prep import prepare as preparing
from emotiw.data_prep.archives import extract
from emotiw.data_prep.archives.zip import CHUNK
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.synthetic.archives import write_records
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import Datum

from ..conftest import contents

PEOPLE = Settings("identities", ("rgb", "lbp"), size=16, val=0.25, seed=2)
EMOTIONS = replace(PEOPLE, labels="emotions", val=None)


def as_recordio(folder: Path) -> Path:
    """Write three people with four pictures each, of noise, which hardly compresses."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 24, 24, 3), np.uint8)
    pictures = [cv2.imencode(".png", picture)[1].tobytes() for picture in noise]
    samples = [(0, (float(k // 4),), data) for k, data in enumerate(pictures)]
    folder.mkdir(parents=True)
    write_records(folder / "train.rec", [(2, (13.0, 16.0), b""), *samples])
    (folder / "property").write_text("3,24,24\n")
    return folder


def as_lmdbs(folder: Path) -> Path:
    """Write two LMDBs of Datums of pixels, named after their splits."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (folder / f"{split}_lmdb").mkdir(parents=True)
        with lmdb.open(str(folder / f"{split}_lmdb"), map_size=1 << 24) as env, env.begin(write=True) as transaction:
            for k in range(6):
                datum = Datum(channels=3, height=24, width=24, data=rng.bytes(1728), label=k)
                transaction.put(f"{k:08d}_{split}/{k}.png".encode(), datum.SerializeToString())
    return folder


def as_fer2013(folder: Path) -> Path:
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (14, 576))
    rows = [f"{k % 7},{' '.join(map(str, row))},{('Training', 'PublicTest')[k // 7]}\n" for k, row in enumerate(pixels)]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(rows))
    return folder


def zipped(folder: Path, archive: Path, wrap: str = "") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, Path(wrap) / path.relative_to(folder))
    return archive


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return as_recordio(tmp_path / "plain")


@pytest.fixture
def archive(people: Path, tmp_path: Path) -> Path:
    return zipped(people, tmp_path / "faces.zip", "faces_webface_112x112")


@pytest.fixture
def copied(monkeypatch) -> list[str]:
    """Record the names of unpacked files, in order."""
    names, copy = [], extract._copy
    monkeypatch.setattr(extract, "_copy", lambda *args: (names.append(Path(args[1]).name), copy(*args)))
    return names


def refusal(call) -> str:
    with pytest.raises(EmotiwError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def interrupt(source: Path, output: Path, settings: Settings = PEOPLE) -> None:
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(preparing, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, output, settings)


@pytest.mark.parametrize("wrap", ["", "wrapped"])
@pytest.mark.parametrize(
    ("make", "settings", "layout"),
    [
        (as_recordio, PEOPLE, "recordio"),
        (as_lmdbs, replace(EMOTIONS, order="emotiw"), "lmdb"),
        (as_fer2013, EMOTIONS, "fer2013"),
    ],
)
def test_an_archive_gives_the_set_of_its_unpacked_files(tmp_path, make, settings, layout, wrap, caplog):
    plain = make(tmp_path / "plain")
    made = zipped(plain, tmp_path / "packed.zip", wrap)
    report = prepare(plain, tmp_path / "set", settings)
    caplog.set_level(logging.INFO, "emotiw")
    assert prepare(made, tmp_path / "again", settings, 2) == report
    said = caplog.messages
    assert re.fullmatch(
        rf"{made}: .+: unpacked for random access, until the set is complete: 0\.00 GB, and .+ GB are free", said[0]
    )
    assert f"{made} -> {tmp_path / 'again'}: layout {layout}, " in said[1]
    assert contents(tmp_path / "again") == contents(tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "packed.zip", "plain", "set"]


def test_only_files_that_need_random_access_are_unpacked(people, tmp_path):
    (people / "lfw.bin").write_bytes(b"pairs of faces, pickled")
    interrupt(zipped(people, tmp_path / "faces.zip", "a"), tmp_path / "set")
    found = [path for path in (tmp_path / ".set.partial/unpacked").rglob("*") if path.is_file()]
    assert sorted(path.name for path in found) == ["property", "train.idx", "train.rec"]
    for path in found:
        assert path.read_bytes() == (people / path.name).read_bytes()


# Atomic

# The same call, killed in the middle of a file after this many were unpacked.
KILLED = """
import os, signal, sys
from pathlib import Path
from emotiw.data_prep.archives import zip as zips
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.transform import Settings
chunks, seen = zips.Zip.chunks, []
def dying(archive, name):
    seen.append(name)
    for chunk in chunks(archive, name):
        yield chunk[:100]
        if len(seen) > int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield chunk[100:]
zips.Zip.chunks = dying
prepare(Path(sys.argv[1]), Path(sys.argv[2]), Settings("identities", ("rgb", "lbp"), size=16, val=0.25, seed=2))
"""


def test_a_call_killed_while_unpacking_continues(people, archive, tmp_path, copied):
    prepare(people, tmp_path / "whole", PEOPLE)
    for survived in (0, 1):  # of train.rec nothing, then all
        args = [sys.executable, "-c", KILLED, archive, tmp_path / "set", str(survived)]
        assert subprocess.run(args, capture_output=True).returncode == -signal.SIGKILL
        left = [path.name for path in (tmp_path / ".set.partial/unpacked").rglob("*") if path.is_file()]
        assert ("train.rec" in left) == bool(survived)
        assert not (tmp_path / "set").exists()
    prepare(archive, tmp_path / "set", PEOPLE)
    assert copied == ["train.idx", "property"]
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert not (tmp_path / ".set.partial").exists()


def test_unpacked_files_serve_other_settings_too(people, archive, tmp_path, copied):
    other = replace(PEOPLE, seed=9)
    prepare(people, tmp_path / "whole", other)
    interrupt(archive, tmp_path / "set")
    assert copied == ["train.rec", "train.idx", "property"]
    prepare(archive, tmp_path / "set", other)
    assert len(copied) == 3
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_unpacking_again_gives_the_same_source(archive, tmp_path, monkeypatch):
    """The call was killed between the removal of the unpacked files and the renaming of the set."""
    interrupt(archive, tmp_path / "set")
    shutil.rmtree(tmp_path / ".set.partial/unpacked")
    monkeypatch.setattr(preparing, "represent", lambda *_: pytest.fail("made again"))
    prepare(archive, tmp_path / "set", PEOPLE)


def test_a_changed_archive_is_unpacked_again(people, archive, tmp_path, copied):
    interrupt(archive, tmp_path / "set")
    data = (people / "train.rec").read_bytes()
    # Person 2 becomes person 1 in the last record; the size does not change.
    place = int((people / "train.idx").read_text().split()[-1]) + 12
    (people / "train.rec").write_bytes(data[:place] + np.float32(1).tobytes() + data[place + 4 :])
    before = archive.stat()
    zipped(people, archive, "faces_webface_112x112")
    os.utime(archive, ns=(before.st_mtime_ns, before.st_mtime_ns + 1))
    prepare(people, tmp_path / "whole", PEOPLE)
    interrupt(archive, tmp_path / "set")
    assert len(list((tmp_path / ".set.partial/unpacked").rglob("train.rec"))) == 1
    prepare(archive, tmp_path / "set", PEOPLE)
    assert copied == ["train.rec", "train.idx", "property"] * 2
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_two_sets_of_one_archive_do_not_collide(people, archive, tmp_path, copied):
    interrupt(archive, tmp_path / "a")
    prepare(archive, tmp_path / "b", PEOPLE)
    assert len(copied) == 6
    assert len(list((tmp_path / ".a.partial/unpacked").rglob("train.rec"))) == 1
    prepare(archive, tmp_path / "a", PEOPLE)
    assert len(copied) == 6
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_refusal_leaves_no_empty_folder(people, archive, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    assert "give --labels identities" in refusal(lambda: prepare(archive, tmp_path / "set", EMOTIONS))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# Damaged and hostile


def test_too_small_a_disk_is_an_error_before_unpacking(archive, tmp_path, monkeypatch, copied):
    with zipfile.ZipFile(archive) as file:
        need = sum(member.file_size for member in file.infolist())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=need - 1))
    said = refusal(lambda: prepare(archive, tmp_path / "set", PEOPLE))
    assert said.startswith(f"{archive}: faces_webface_112x112/train.rec, ")
    place = tmp_path / ".set.partial/unpacked"
    assert said.endswith(f"property: unpacking needs 0.00 GB and {place} has 0.00 GB free: free some")
    assert copied == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=need))
    assert "the set needs 0.00 GB" in refusal(lambda: prepare(archive, tmp_path / "set", replace(PEOPLE, size=256)))
    assert len(copied) == 3


def test_a_missing_index_is_an_error_before_unpacking(people, tmp_path, copied):
    (people / "train.idx").unlink()
    made = zipped(people, tmp_path / "faces.zip", "a")
    assert refusal(lambda: prepare(made, tmp_path / "set", PEOPLE)) == (
        f"{made} holds no a/train.idx, which is needed, too: add it to the archive"
    )
    assert copied == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_file_is_a_one_line_error_and_not_written(people, tmp_path, method):
    made, name = tmp_path / "faces.zip", "train.rec"
    with zipfile.ZipFile(made, "w", method) as file:
        for path in people.iterdir():
            file.write(path, path.name)
        place = file.getinfo(name).header_offset + 30 + len(name) + 900
    data = bytearray(made.read_bytes())
    data[place] ^= 0xFF
    made.write_bytes(data)
    said = refusal(lambda: prepare(made, tmp_path / "set", PEOPLE))
    assert re.fullmatch(rf"{made}: {name} is damaged in its archive \(.+\): copy the archive again", said)
    assert not [path for path in tmp_path.rglob("*train.rec*") if path.parent != people]
    assert not (tmp_path / "set").exists()


def test_a_file_shorter_than_its_size_in_the_directory(people, tmp_path):
    """Its CRC is right, but its size in the archive's directory is one too large."""
    data = (people / "train.rec").read_bytes()
    made = zipped(people, tmp_path / "faces.zip")
    packed = bytearray(made.read_bytes())
    place = packed.index(zlib.crc32(data).to_bytes(4, "little"), packed.index(b"PK\x01\x02")) + 8
    assert packed[place : place + 4] == len(data).to_bytes(4, "little")
    packed[place : place + 4] = (len(data) + 1).to_bytes(4, "little")
    made.write_bytes(packed)
    assert refusal(lambda: prepare(made, tmp_path / "set", PEOPLE)) == (
        f"{made}: train.rec is damaged in its archive (cut off): copy the archive again"
    )


@pytest.mark.parametrize("name", ["../train.idx", "/train.idx", "a/../../train.idx", "..\\train.idx"])
def test_a_path_that_leads_out_of_the_archive(people, tmp_path, name):
    made = tmp_path / "faces.zip"
    with zipfile.ZipFile(made, "w") as file:
        file.write(people / "train.rec", "train.rec")
        file.writestr(zipfile.ZipInfo(name), (people / "train.idx").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    said = refusal(lambda: prepare(made, tmp_path / "set", PEOPLE))
    assert said == f"{made} holds {name!r}, a path that leads out of the archive: it is not read"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_an_archive_is_a_text_file(people, tmp_path):
    """Nothing is read or written at its target."""
    (tmp_path / "precious").mkdir()
    made = tmp_path / "faces.zip"
    with zipfile.ZipFile(made, "w") as file:
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        file.writestr(link, str(tmp_path / "precious"))
        for path in people.iterdir():
            file.write(path, f"a/{path.name}")
    prepare(made, tmp_path / "set", PEOPLE)
    assert list((tmp_path / "precious").iterdir()) == []
    with zipfile.ZipFile(made, "w") as file:
        for path in people.iterdir():
            link = zipfile.ZipInfo(path.name)
            link.external_attr = 0o120777 << 16
            file.writestr(link, str(path))
    assert "train.idx is not an index of lines" in refusal(lambda: prepare(made, tmp_path / "other", PEOPLE))


def test_a_bomb_is_refused_before_anything_is_unpacked(people, tmp_path, copied):
    (people / "train.rec").write_bytes(bytes(1 << 24))
    made = zipped(people, tmp_path / "faces.zip")
    assert "no image shrinks so much, it is not read" in refusal(lambda: prepare(made, tmp_path / "set", PEOPLE))
    assert copied == []


def test_a_large_file_is_unpacked_a_chunk_at_a_time(tmp_path):
    """Of 32 MiB only a few are in memory."""
    (tmp_path / "large.bin").write_bytes(np.random.default_rng(0).bytes(32 * CHUNK))
    made = tmp_path / "large.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.write(tmp_path / "large.bin", "large.bin")
    code = (
        "import sys, tracemalloc; from pathlib import Path; from emotiw.data_prep.archives.extract import unpack\n"
        "from emotiw.data_prep.archives.zip import Zip\n"
        "tracemalloc.start(); place = unpack(Path(sys.argv[2]), Zip(Path(sys.argv[1])), ['large.bin'])\n"
        "print(tracemalloc.get_traced_memory()[1], place)"
    )
    args = [sys.executable, "-c", code, made, tmp_path / "unpacked"]
    peak, place = subprocess.run(args, capture_output=True, text=True, check=True).stdout.split()
    assert int(peak) < 8 * CHUNK
    assert (Path(place) / "large.bin").read_bytes() == (tmp_path / "large.bin").read_bytes()
