"""Damaged bytes: a reader raises only our own errors. `fuzz.py` is the long form."""

import numpy as np
import pytest
from reached import reached
from readers import READERS, corpus, try_to_read

MUTANTS = 150  # mutants of each file of a corpus
MOST_OF_THEM = 0.9


@pytest.mark.parametrize("name", READERS)
def test_the_first_file_of_a_corpus_is_read(tmp_path, name):
    reader = READERS[name]
    (tmp_path / reader.name).write_bytes(corpus(name)[0])
    reader.read(tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_mutants_are_read_or_refused(tmp_path, name):
    rng = np.random.default_rng(0)
    for data in corpus(name):
        try_to_read(READERS[name], tmp_path, data)
        for _ in range(MUTANTS):
            try_to_read(READERS[name], tmp_path, mutant(data, rng))


@pytest.mark.parametrize("name", READERS)
def test_the_corpus_reaches_most_lines_of_its_reader(tmp_path, name):
    seen, lines = reached(READERS[name], tmp_path, corpus(name))
    print(f"\n{name}: {len(seen)} of {len(lines)} lines, {len(seen) / len(lines):.0%}")
    assert len(lines) > 15
    assert len(seen) >= MOST_OF_THEM * len(lines), lines - seen


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip bytes, overwrite them with extreme values, cut off, remove or repeat them, up to three times."""
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
