"""Digests of LMDBs: of all records, independent of their pages; and of the images' paths and labels only."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from .datum import damage_placed, label_of
from .lmdb import environment


class RecordsDigest:
    """The sha256 of records in the order of their keys: for each, the lengths of key and value, then both."""

    def __init__(self) -> None:
        self._hashed = hashlib.sha256()

    def add(self, key: bytes | memoryview, value: bytes | memoryview) -> None:
        """Add the next record."""
        self._hashed.update(len(key).to_bytes(8, "little") + len(value).to_bytes(8, "little"))
        self._hashed.update(key)
        self._hashed.update(value)

    @property
    def sha256(self) -> str:
        """The digest of the records added so far, in hexadecimal."""
        return self._hashed.hexdigest()


def content_digest(path: Path) -> str:
    """Return the digest of all records of the LMDB `path`, in hexadecimal; for a file, of its bytes."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = RecordsDigest()
    with environment(path) as opened, opened.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            digest.add(key, value)
    return digest.sha256


def labels(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the name in each key of the LMDB `path`, after its position, and the label; pixels are not read."""
    with environment(path, readahead=False) as opened, opened.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            name = bytes(key)
            with damage_placed(path, name):
                yield name.partition(b"_")[2], label_of(value)


def pairs_digest(pairs: Iterable[tuple[bytes, int]]) -> str:
    """Return the digest of names and labels, independent of their order."""
    return hashlib.sha256(b"".join(b"%s\0%d\n" % pair for pair in sorted(pairs))).hexdigest()


def labels_digest(path: Path) -> str:
    """Return the digest of the names and labels in the LMDB `path`."""
    return pairs_digest(labels(path))
