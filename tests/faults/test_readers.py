"""Bytes that are not what they should be: only our own errors come out of a reader. `fuzz.py` is the long form."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

MUTANTS = 150  # of each file of a corpus


@pytest.fixture(scope="module")
def readers():
    """The module beside this one."""
    spec = importlib.util.spec_from_file_location("readers", Path(__file__).with_name("readers.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["readers"] = module  # for its dataclass
    spec.loader.exec_module(module)
    yield module
    del sys.modules["readers"]


NAMES = ["recordio", "prototxt", "caffemodel", "binaryproto", "datum", "solverstate", "table", "scores", "zip"]


def test_all_are_here(readers):
    assert list(readers.READERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_first_file_of_a_corpus_is_read(readers, tmp_path, name):
    reader = readers.READERS[name]
    (tmp_path / "drawn").mkdir()
    (tmp_path / reader.name).write_bytes(reader.corpus(tmp_path / "drawn")[0])
    reader.read(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_mutants_are_read_or_refused(readers, tmp_path, name):
    reader, rng = readers.READERS[name], np.random.default_rng(0)
    for folder in ("drawn", "input"):
        (tmp_path / folder).mkdir()
    for data in reader.corpus(tmp_path / "drawn"):
        readers.try_to_read(reader, tmp_path / "input", data)
        for _ in range(MUTANTS):
            readers.try_to_read(reader, tmp_path / "input", mutant(data, rng))


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes flipped, written over with extreme ones, cut off, left out or said twice, up to three times."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        first, last = sorted(rng.integers(0, len(changed) + 1, 2).tolist())
        last = min(last, first + 8)
        part = changed[first:last]
        changed[first:last] = [
            bytes(byte ^ 1 << int(rng.integers(8)) for byte in part),
            bytes(rng.choice([0, 1, 0x7F, 0x80, 0xFF], len(part)).astype(np.uint8)),
            b"",
            part * 2,
        ][rng.integers(4)]
        if rng.random() < 0.1:
            del changed[first:]
    return bytes(changed)
