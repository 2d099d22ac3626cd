"""Read LMDBs: one environment per process and path, because py-lmdb allows no more; all readers share it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from emotiw.errors import EmotiwError

if TYPE_CHECKING:
    import lmdb

_DATA = "data.mdb"

ADDRESS_SPACE = "the limit on address space (ulimit -v) is too small to map the LMDB: raise it"


@dataclass
class _Opened:
    environment: "lmdb.Environment"
    users: int = 0


_opened: dict[Path, _Opened] = {}
_inherited: dict[Path, _Opened] = {}  # of the parent of a fork: must be neither used here nor, as py-lmdb may wait
# for a thread that is not here, to be closed
_lock = Lock()


@contextmanager
def environment(path: Path, readahead: bool = True) -> Iterator["lmdb.Environment"]:
    """Yield the environment of an LMDB, read-only and without its lock file.

    Parameters
    ----------
    path
        Its folder.
    readahead
        Whether the system reads ahead from the disk; the first of several readers decides.

    Raises
    ------
    EmotiwError
        If there is no LMDB, it is damaged, or the address space is too small.
    """
    import lmdb

    place = path.resolve()
    try:
        opened = _take(place, path, readahead)
        try:
            yield opened.environment
        finally:
            _give_back(place, opened)
    except lmdb.MemoryError:
        raise EmotiwError(f"{path}: {ADDRESS_SPACE}") from None
    except lmdb.Error as error:
        raise EmotiwError(f"{path} is not a complete LMDB ({error}): copy it again, or prepare it again") from None


def _take(place: Path, path: Path, readahead: bool) -> _Opened:
    with _lock:
        if place in _inherited:
            raise EmotiwError(f"{path} was being read when this process was forked: use the start method spawn instead")
        if place not in _opened:
            _opened[place] = _Opened(_open(path, readahead))
        _opened[place].users += 1
        return _opened[place]


def _give_back(place: Path, opened: _Opened) -> None:
    with _lock:
        opened.users -= 1
        if not opened.users and _opened.get(place) is opened:
            opened.environment.close()
            del _opened[place]


def _open(path: Path, readahead: bool) -> "lmdb.Environment":
    import lmdb

    if not (path / _DATA).is_file():
        what = "it is a file" if path.is_file() else f"no {_DATA} in it" if path.is_dir() else "no such folder"
        raise EmotiwError(f"{path} is not an LMDB: {what}")
    opened = lmdb.open(str(path), readonly=True, lock=False, readahead=readahead)
    whole = (opened.info()["last_pgno"] + 1) * opened.stat()["psize"]
    if (path / _DATA).stat().st_size < whole:  # reading after its end would raise SIGBUS
        opened.close()
        raise EmotiwError(f"{path} is cut off: copy it again, or prepare it again")
    return opened


def _forget() -> None:
    """In a forked child: drop the parent's environments, and the lock, which a thread of the parent may hold."""
    global _lock
    _lock = Lock()
    _inherited.update(_opened)
    _opened.clear()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def reading(path: Path) -> Iterator["lmdb.Transaction[bytes]"]:
    """Yield a transaction that reads the LMDB `path`."""
    with environment(path) as opened, opened.begin() as transaction:
        yield transaction


def keys_of(path: Path) -> list[bytes]:
    """Return the keys of the LMDB `path`, in order; the values are not read from the disk."""
    with environment(path, readahead=False) as opened, opened.begin() as transaction:
        return list(transaction.cursor().iternext(keys=True, values=False))
