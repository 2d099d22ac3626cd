"""Provenance: records of the inputs of a result, and their comparison with the current files.

A digest is taken once, when a file is written or first used, and stored with the file's size, time and inode. A reader
compares these three, and hashes the file if they differ. Such digests are stored in the user's cache folder, so that a
copied set or run is hashed only once.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emotiw.errors import EmotiwError
from emotiw.files import cache_folder, file_digest, sha256_of, write_text
from emotiw.json_record import read_json, read_record, record_of, write_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")
Digest = Callable[[Path], str]
Stamp = tuple[int, int, int]

MANIFEST, RUN, MODEL, DEPLOY, MEAN, WEIGHTS = "manifest", "run.json", "model", "deploy", "mean", "starting weights"
"""Roles that occur in several records."""

SMALL = 1 << 20
"""The largest file, in bytes, that `Look.SMALL` may hash."""

_SEAL = "seal"
_MOST_REMEMBERED = 2000


class Look(IntEnum):
    """How much a reader hashes."""

    STAT = 0  # nothing
    SMALL = 1  # small files with another size, time or inode
    CHANGED = 2  # every file with another size, time or inode
    ALL = 3  # everything: --verify


@dataclass(frozen=True)
class Input:
    """The state of a file or an LMDB when it was used.

    Attributes
    ----------
    role
        What it was used as.
    path
        Its path; relative to the record's folder if it is inside. Empty for an input that is not a file, such as
        the colours of a mapping.
    size, mtime_ns, inode
        Properties of the file; for an LMDB, of its data.mdb.
    sha256
        In hexadecimal, of the file's bytes; for an LMDB see `prototxt.formats.lmdb_digest`.
    """

    role: str
    path: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str

    @property
    def stamp(self) -> Stamp:
        """Size, time and inode."""
        return self.size, self.mtime_ns, self.inode


@dataclass(frozen=True)
class Difference:
    """A difference from the record; `proven` if the digest differs, not only size, time or inode."""

    role: str
    words: str
    proven: bool


def stamp(path: Path) -> Stamp:
    """Return size, time in nanoseconds and inode of a file, or of the data.mdb in an LMDB's folder."""
    status = os.stat(path / "data.mdb" if path.is_dir() else path)  # noqa: PTH116 - as in `files.file_stamp`
    return status.st_size, status.st_mtime_ns, status.st_ino


def taken(role: str, path: Path, sha256: str = "", name: str = "") -> Input:
    """Return the record of an input in its current state.

    Parameters
    ----------
    sha256
        Its digest if known; otherwise the file is hashed.
    name
        The path to record, if not the absolute one.
    """
    before = stamp(path)
    digest = sha256 or file_digest(path)
    return Input(role, name or str(path.resolve()), *before, digest)


def value(role: str, data: bytes) -> Input:
    """Return the record of an input that is not a file."""
    return Input(role, "", len(data), 0, 0, sha256_of(data))


def find(inputs: Iterable[Input], role: str) -> Input | None:
    """Return the input of a role, or None if there is none."""
    return next((one for one in inputs if one.role == role), None)


def compare(recorded: Input, path: Path, look: Look, digest: Digest = file_digest) -> Difference | None:
    """Return how the current file at `path` differs from the record, or None.

    Parameters
    ----------
    look
        How much may be hashed.
    digest
        The digest function.
    """
    try:
        here = stamp(path)
    except OSError:
        return Difference(recorded.role, f"{path}, the {recorded.role} on record, is not there", proven=False)
    if look < Look.ALL and here == recorded.stamp:
        return None
    known = _remembered(path, digest) if look < Look.ALL else ""
    if not known and (look is Look.STAT or (look is Look.SMALL and here[0] > SMALL)):
        words = f"{path} has another size, time or inode than the {recorded.role} on record; it was not hashed"
        return Difference(recorded.role, words, proven=False)
    found = known or digest_of(path, digest, fresh=True)
    return differ(recorded, found, str(path))


def differ(recorded: Input, sha256: str, what: str) -> Difference | None:
    """Return how a digest differs from a recorded one, naming both, or None."""
    if sha256 == recorded.sha256:
        return None
    words = f"{what} is not the {recorded.role} on record: sha256 {sha256[:12]}, recorded {recorded.sha256[:12]}"
    return Difference(recorded.role, words, proven=True)


def require_unchanged(inputs: Iterable[Input], folder: Path = Path()) -> None:
    """Raise `EmotiwError` if a file has been replaced since reading began."""
    for one in inputs:
        path = folder / one.path
        if one.path and (not path.exists() or stamp(path) != one.stamp):
            raise EmotiwError(f"{path}, the {one.role}, was replaced while it was read: run the same command again")


def digest_of(path: Path, digest: Digest = file_digest, *, fresh: bool = False) -> str:
    """Return a digest, cached as long as size, time and inode are the same; `fresh` computes it again."""
    known = "" if fresh else _remembered(path, digest)
    if known:
        return known
    before = stamp(path)
    found = digest(path)
    if stamp(path) == before:
        _remember(Input(digest.__name__, str(path.resolve()), *before, found))
    return found


def _memory(path: Path, kind: str) -> Path:
    name = sha256_of(f"{kind} {path.resolve()}".encode(errors="surrogateescape"))
    return cache_folder() / "digests" / f"{name}.json"


def _remembered(path: Path, digest: Digest) -> str:
    """Return the cached digest for the file's current size, time and inode, or an empty string."""
    try:
        known = read_record(_memory(path, digest.__name__), Input)
    except (OSError, ValueError):
        return ""
    return known.sha256 if (known.path, known.stamp) == (str(path.resolve()), stamp(path)) else ""


def _remember(one: Input) -> None:
    """Cache a digest, if the cache folder is writable; if there are too many, remove the oldest half."""
    place = _memory(Path(one.path), one.role)
    with suppress(OSError, UnicodeError):
        write_text(place, json.dumps(asdict(one)) + "\n")
        if len(every := list(place.parent.glob("*.json"))) > _MOST_REMEMBERED:
            for path in sorted(every, key=lambda path: path.stat().st_mtime_ns)[: len(every) // 2]:
                path.unlink(missing_ok=True)


def sealed(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a JSON object with their digest, replacing an earlier one: see `require_seal`."""
    rest = {key: one for key, one in values.items() if key != _SEAL}
    return {**rest, _SEAL: _seal(rest)}


def unsealed(values: object) -> object:
    """Return a JSON value without its seal, if it has one."""
    return {key: one for key, one in values.items() if key != _SEAL} if isinstance(values, dict) else values


def require_seal(values: object) -> None:
    """Raise `ValueError` if the values of a JSON object have changed since they were sealed; old files have no seal."""
    if isinstance(values, dict) and _SEAL in values and values[_SEAL] != _seal(unsealed(values)):
        raise ValueError("it was changed after it was written")


def write_sealed(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON object with its seal."""
    write_json(path, sealed(values))


def read_sealed(path: Path, kind: type[Record]) -> Record:
    """Return the record that `write_sealed` wrote; errors are those of `json_record.read_record`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a record, or was changed after it was written.
    """
    values = read_json(path)
    record = record_of(unsealed(values), kind)  # its errors name the wrong field
    require_seal(values)
    return record


def _seal(values: object) -> str:
    return sha256_of(json.dumps(values, sort_keys=True).encode())
