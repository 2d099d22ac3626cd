"""Files: outputs that are either complete or absent, locks, digests, stamps."""

import codecs
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emotiw.errors import NO_ROOM, EmotiwError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)  # the kernel or file system does not support it


def cache_folder() -> Path:
    """Return the user's cache folder for emotiw; a relative $XDG_CACHE_HOME is ignored (XDG specification)."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "emotiw"


def refuse_foreign(path: Path, what: str, ours: bool) -> None:
    """Raise `EmotiwError` if `path` exists and is not ours, whether or not `--force` was given.

    Parameters
    ----------
    what
        What the command writes there, with its article.
    ours
        Whether `path` is such a thing.
    """
    if not ours and os.path.lexists(path):
        raise EmotiwError(f"{path} is not {what}, so it is not replaced: remove it, or name another output")


def refuse_overwrite(path: Path, force: bool, *, folder: bool = False) -> None:
    """Raise `EmotiwError` if `path` exists and `--force` was not given, or a folder has the name of an output file.

    Parameters
    ----------
    folder
        Whether the output is a folder; its kind is then checked by `refuse_foreign`.
    """
    finish_swap(path)
    if not folder:
        refuse_foreign(path, "a file", not path.is_dir())
    if path.exists() and not force:
        raise EmotiwError(f"{path} exists already: give --force to replace it, or name another output")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name next to `path`; rename it to `path` when the block succeeds.

    The block writes a file (or a folder) under the yielded name. If it raises, its output is removed; an out-of-space
    error without a path gets this one. A file never replaces a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    remove(temporary)
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            replace_folder(temporary, path)
        else:
            temporary.replace(path)
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        remove(temporary)


def temporary_name(path: Path) -> Path:
    """Return the name that `whole` yields for `path`."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def whole_new(folder: Path) -> Iterator[Path]:
    """Yield a temporary name as `whole` does, for a folder that must not exist yet, except as an empty one.

    Raises
    ------
    EmotiwError
        If something else has the name, before the block or after it: nothing is replaced.
    """
    _refuse_existing(folder)
    with whole(folder) as temporary:
        yield temporary
        _refuse_existing(folder)


def is_empty(folder: Path) -> bool:
    """Return whether a path is a folder, or a link to one, with nothing in it."""
    return folder.is_dir() and not any(folder.iterdir())


def _refuse_existing(folder: Path) -> None:
    if os.path.lexists(folder) and (folder.is_symlink() or not is_empty(folder)):
        raise EmotiwError(f"{folder} exists already, so nothing is written there: remove it, or name another folder")


@contextmanager
def alone(folder: Path, busy: str | None = None) -> Iterator[None]:
    """Make `folder` if it does not exist, and hold a lock on it, so that only one process at a time runs such a block.

    Without `busy` it waits for the lock.

    Raises
    ------
    EmotiwError
        If another process holds the lock; the message is `busy`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        if not take_lock(held, wait=busy is None):
            raise EmotiwError(busy)
        yield
    finally:
        os.close(held)


def take_lock(descriptor: int, *, wait: bool = True) -> bool:
    """Lock an open file or folder until its descriptor is closed; the kernel closes it when the process dies.

    Parameters
    ----------
    wait
        Whether to wait while another process holds the lock.

    Returns
    -------
    bool
        Whether the lock is ours.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Rename the folder `new` to `path`; a previous folder of that name is removed.

    If killed at any moment, it leaves one of the two complete under the name, or `finish_swap` puts it there.
    """
    remove(swap_folder(new, path))


def swap_folder(new: Path, path: Path) -> Path:
    """Rename the folder `new` to `path`; return the new place of a previous folder of that name, if any.

    The two names are exchanged in one step if the file system supports it. Otherwise nothing has the name for a moment;
    a kill then leaves the old folder under its other name.
    """
    clear_swap(path)
    aside = _aside(path)
    if not os.path.lexists(path):
        new.replace(path)
        return aside
    if _exchange(new, path):
        new.replace(aside)
        return aside
    while True:
        path.replace(aside)
        try:
            new.replace(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            continue  # a reader took it for an interrupted swap and undid it
        return aside


def finish_swap(path: Path) -> None:
    """Put back a folder that a killed `swap_folder` moved aside, if nothing has its name."""
    path = Path(os.path.realpath(path))
    if os.path.lexists(path) or not os.path.lexists(_aside(path)):
        return
    try:
        _aside(path).rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, *_TAKEN):  # meanwhile it was finished, or undone by another reader
            raise


def clear_swap(path: Path) -> None:
    """Finish a killed `swap_folder`, and remove the old folder if the new one has the name."""
    finish_swap(path)
    remove(_aside(path))


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names by renameat2(2); return whether that is supported here."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8); the file is complete or absent."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_lines(path: Path, lines: Iterable[str]) -> str:
    """Write lines of text, completely or not at all; return the sha256 of the file, in hexadecimal."""
    hashed = hashlib.sha256()
    with whole(path) as temporary, temporary.open("wb") as file:
        for line in lines:
            data = line.encode()
            hashed.update(data)
            file.write(data)
    return hashed.hexdigest()


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark; line ends are unchanged.

    Raises
    ------
    OSError
        If the file cannot be read.
    EmotiwError
        If it is not UTF-8 text.
    """
    data = path.read_bytes()
    if data.startswith(_UTF16):
        raise EmotiwError(f"{path} is text in UTF-16: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
        stranger = text.find("\0")  # from UTF-16 without a mark, or a disk that lost data
        line = 0 if stranger < 0 else text.count("\n", 0, stranger) + 1
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    if line:
        raise EmotiwError(f"{path}, line {line}: not text in UTF-8: save it as UTF-8, or make it again")
    return text


def sha256_of(data: bytes) -> str:
    """Return the sha256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file's bytes in hexadecimal, by an algorithm of `hashlib`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def file_stamp(path: Path | str) -> tuple[int, int]:
    """Return the size in bytes and the modification time in nanoseconds of a file: they change with the file."""
    status = os.stat(path)  # noqa: PTH116 - a Path each would take as long as the call itself
    return status.st_size, status.st_mtime_ns
