"""LMDBs use only as much address space as they need."""

import json
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from emotiw.data_prep import lmdb_writer
from emotiw.data_prep.disk_space import lmdb_size
from emotiw.data_prep.lmdb_writer import LmdbWriter, key
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.transform import Settings
from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.formats.datum import Encoded, encode

from .conftest import contents

FIVE = ("rgb", "lbp", "cyclic_lbp", "cyclic_lbp_5", "cyclic_lbp_10")


def batches(count: int, size: int = 64, each: int = 5) -> list[list[tuple[bytes, Encoded]]]:
    """Return pictures of noise by their keys."""
    pictures = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
    coded = [(key(k, f"{k}.png"), encode(picture, k % 7, "raw")) for k, picture in enumerate(pictures)]
    return [coded[start : start + each] for start in range(0, count, each)]


def written(folder: Path, some: list[list[tuple[bytes, Encoded]]], expected: int = 0) -> tuple[list[int], bytes]:
    """Return the sizes of the map after each batch, and the mean."""
    sizes = []
    with LmdbWriter(folder / "train_lmdb", expected) as writer:
        for batch in some:
            writer.store(batch)
            sizes.append(writer._environment.info()["map_size"])
        writer.write_mean(folder / "mean.binaryproto")
    return sizes, (folder / "mean.binaryproto").read_bytes()


def test_a_map_that_grows_writes_the_same(tmp_path, monkeypatch):
    some = batches(100)
    plain, mean = written(tmp_path / "plain", some, 1 << 24)
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP", 1 << 16)
    sizes, grown = written(tmp_path / "grown", some)
    assert len(set(plain)) == 1
    assert len(set(sizes)) > 3
    assert sizes == sorted(sizes)
    assert grown == mean
    same = contents(tmp_path / "grown/train_lmdb")
    assert same == contents(tmp_path / "plain/train_lmdb")
    assert same["data.mdb"] == [(name, image.datum) for batch in some for name, image in batch]
    assert read_mean(tmp_path / "grown/mean.binaryproto").shape == (3, 64, 64)


def test_a_file_is_as_large_as_its_content_whatever_its_map(tmp_path):
    written(tmp_path, batches(20), 1 << 30)
    assert (tmp_path / "train_lmdb/data.mdb").stat().st_size < 20 * (64 * 64 * 3 + 4096) + (1 << 16)


def test_a_batch_larger_than_the_first_map_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP", 1 << 16)
    tried, put = [], LmdbWriter._put
    monkeypatch.setattr(LmdbWriter, "_put", lambda self, images: tried.append(1) or put(self, images))
    written(tmp_path, batches(50, each=50))
    assert len(tried) == 2


def test_an_existing_file_may_be_larger_than_the_estimate(tmp_path, monkeypatch):
    """An interrupted call may have enlarged the map."""
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP", 1 << 16)
    some = batches(60)
    written(tmp_path, some[:6])
    with LmdbWriter(tmp_path / "train_lmdb") as writer:
        writer.recount([name for batch in some[:6] for name, _ in batch])
        for batch in some[6:]:
            writer.store(batch)
        writer.write_mean(tmp_path / "mean.binaryproto")
    _, mean = written(tmp_path / "whole", some)
    assert contents(tmp_path / "train_lmdb") == contents(tmp_path / "whole/train_lmdb")
    assert (tmp_path / "mean.binaryproto").read_bytes() == mean


def test_an_lmdb_larger_than_the_maximum_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP", 1 << 16)
    monkeypatch.setattr(lmdb_writer, "MAP_SIZE", 1 << 18)
    with pytest.raises(EmotiwError, match=r"train_lmdb holds no more than 0\.000262144 GB: give --store png"):
        written(tmp_path, batches(100))


@pytest.mark.parametrize(("store", "size"), [("raw", 16), ("raw", 256), ("png", 64)])
def test_the_estimate_suffices(source, tmp_path, monkeypatch, store, size):
    """With the estimate, the map of raw pixels never has to grow."""
    monkeypatch.setattr(lmdb_writer, "_FIRST_MAP", 1 << 14 if store == "raw" else 1 << 24)
    monkeypatch.setattr(LmdbWriter, "_grow", lambda *_: pytest.fail("it grew"))
    settings = Settings("emotions", ("rgb", "lbp"), size=size, val=0.25, store=store)
    prepare(source, tmp_path / "set", settings)
    assert open_set(tmp_path / "set").count("train") == 18
    assert bool(lmdb_size(24, settings)) == (store == "raw")


# The same command, with limited address space after all imports.
LIMITED = """
import resource, sys
import cv2, lmdb, numpy
from emotiw.__main__ import main
from emotiw.data_prep import prepare
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = int(sys.argv[1])
limit = limit if limit > 1 << 32 else used + limit
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


def limited(limit: int, source: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, str(limit), "prepare", str(source), "-o", str(output)]
    command += ["--labels", "emotions", "--jobs", "2", *more]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("store", ["raw", "png"])
def test_five_representations_need_8_gb_of_address_space_at_most(source, tmp_path, store):
    """`ulimit -v 8000000`; maps of 1 TiB each would not fit."""
    done = limited(8_000_000 << 10, source, tmp_path / "set", "--val", "0.25", "--store", store)
    assert done.returncode == 0, done.stderr
    prepared = open_set(tmp_path / "set")
    assert [prepared.count(split) for split in ("train", "val")] == [18, 6]
    assert json.loads((tmp_path / "set/set.json").read_text())["representations"] == list(FIVE)
    settings = Settings("emotions", FIVE, val=0.25, store=store)
    prepare(source, tmp_path / "free", settings)
    assert contents(tmp_path / "set") == contents(tmp_path / "free")


def test_the_error_names_too_little_address_space(tmp_path, draw):
    for number in range(40):
        draw(tmp_path / f"faces/{('Sad', 'Happy')[number % 2]}/{number:02d}.png", seed=number)
    source, output = tmp_path / "faces", tmp_path / "set"
    done = limited(300 << 20, source, output, "-r", "rgb", "lbp", "--size", "2048")
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said == (
        f"emotiw: {tmp_path / '.set.partial/rgb/train_lmdb'}: the limit on address space (ulimit -v) is too small to "
        "map the LMDB: raise it, or prepare one representation at a time; then run the same command again to continue"
    )
    assert not output.exists()


def test_the_error_names_a_map_that_cannot_grow(tmp_path, monkeypatch):
    class Environment:
        def info(self):
            return {"map_size": 1}

        def set_mapsize(self, size):
            raise lmdb.MemoryError("mdb_env_set_mapsize: Cannot allocate memory")

        def begin(self, write):
            raise lmdb.MapFullError

        def close(self):
            pass

    monkeypatch.setattr(lmdb, "open", lambda *args, **options: Environment())
    with pytest.raises(EmotiwError, match=r"the limit on address space \(ulimit -v\) is too small"):
        written(tmp_path, batches(5))


def test_reading_in_too_little_address_space_is_named(tmp_path):
    written(tmp_path, batches(900, 128))
    code = (
        "import resource, sys; from pathlib import Path; import lmdb\n"
        "from emotiw.prototxt.formats.lmdb import keys_of\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20),) * 2)\n"
        "keys_of(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "train_lmdb"], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        f"{tmp_path / 'train_lmdb'}: the limit on address space (ulimit -v) is too small to map the LMDB: raise it"
    )


def test_an_lmdb_is_read_in_as_much_space_as_its_file(tmp_path):
    """It was written with a map of 1 TiB, as older versions did."""
    with lmdb.open(str(tmp_path / "old"), map_size=1 << 40) as environment, environment.begin(write=True) as writing:
        writing.put(b"a", b"b")
    code = (
        "import sys; from pathlib import Path; from emotiw.prototxt.formats.lmdb import environment\n"
        "with environment(Path(sys.argv[1])) as opened: print(opened.info()['map_size'])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "old"], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 1 << 24
