"""The folder of uploaded pictures: contents, free space, and removal of folders left by killed servers."""

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Self

from emotiw.files import take_lock

PREFIX = "emotiw-serve-"
_NAME = re.compile(r"[0-9a-f]{64}/[^/\0]+")  # Gradio names a folder by the SHA-256 of the file in it
_BLOCK = 4096  # the least bytes that a file or a folder takes on disk
_NEW = 60  # seconds for which Gradio may be about to put a file into an empty folder
_FORGOTTEN = 3 * 3600  # seconds after which Gradio has deleted every upload that it knows of


class FullError(Exception):
    """The folder has no room for more."""


class Uploads:
    """The upload folder of one page.

    Parameters
    ----------
    folder
        Its path, without symbolic links in it.
    most
        The largest total size of all uploads in bytes.
    interval
        Seconds between two measurements of the folder, each of which takes seconds if it has many files.
    """

    def __init__(self, folder: Path, most: int = 200_000_000, interval: float = 10) -> None:
        self.folder, self.most, self.interval = folder, most, interval
        self._used, self._measured, self._measuring = 0, -interval, Lock()
        self._started: list[float] = []  # the start times of uploads in progress

    def holds(self, path: str) -> bool:
        """Return whether `path` is an upload: a regular file, named without detours and without symbolic links."""
        folder = f"{self.folder}/"
        if not path.startswith(folder) or not _NAME.fullmatch(path.removeprefix(folder)):
            return False
        try:
            return os.path.realpath(path) == path and stat.S_ISREG(os.lstat(path).st_mode)
        except (OSError, ValueError):  # a name that is too long or not UTF-8
            return False

    @contextmanager
    def arriving(self) -> Iterator[Self]:
        """Register an upload in progress; `add` counts its bytes."""
        started = time.time()
        self._started.append(started)
        try:
            yield self
        finally:
            self._started.remove(started)

    def add(self, size: int) -> None:
        """Count bytes that have arrived.

        Raises
        ------
        FullError
            If there is no room for them.
        """
        self._used += size
        if self._used > self.most:
            raise FullError

    def measure(self) -> None:
        """Delete leftovers and measure the rest, unless that was done within the interval."""
        if time.monotonic() >= self._measured + self.interval and self._measuring.acquire(blocking=False):
            try:
                before = self._used
                found = self._clean()
                self._used += found - before  # bytes that arrived meanwhile stay counted
                self._measured = time.monotonic()
            finally:
                self._measuring.release()

    def remove(self) -> None:
        """Remove the folder and its contents."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clean(self) -> int:
        """Delete what Gradio does not delete; return the disk usage of the rest in bytes.

        An upload that breaks off leaves a file directly in the folder, one that Gradio refuses may leave one below, and
        each deleted upload leaves an empty folder.
        """
        used, now = 0, time.time()
        oldest = min(self._started, default=now) - 1  # a file's time may be earlier than the clock's
        for where, _, files in os.walk(self.folder, topdown=False):
            folder = Path(where)
            limit = oldest if folder == self.folder else now - _FORGOTTEN
            for name in files:
                with suppress(FileNotFoundError):
                    found = (folder / name).lstat()
                    if found.st_mtime < limit:
                        (folder / name).unlink()
                    else:
                        used += -(-found.st_size // _BLOCK) * _BLOCK
            used += _BLOCK
            if folder != self.folder:
                with suppress(OSError):  # it is not empty
                    if folder.stat().st_mtime < now - _NEW:
                        folder.rmdir()
                        used -= _BLOCK
        return used


@contextmanager
def upload_folder() -> Iterator[Uploads]:
    """Make the folder of a server, removed at the end; first remove the folders of killed servers.

    A server holds a lock on its folder while it lives, so a folder that can be locked has no owner.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_if_left(folder)
    uploads, lock = _make()
    try:
        yield uploads
    finally:
        uploads.remove()
        os.close(lock)


def _make() -> tuple[Uploads, int]:
    """Make a folder; return it, and the descriptor that holds its lock."""
    while True:
        uploads = Uploads(Path(tempfile.mkdtemp(prefix=PREFIX)).resolve())
        with suppress(FileNotFoundError):  # another server that starts may take it for a leftover
            lock = os.open(uploads.folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks: what cannot be locked is not removed
                take_lock(lock)
            if uploads.folder.is_dir():
                return uploads, lock
            os.close(lock)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder of this user's on which no running server holds a lock."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # a link, a file, or another user's
        return
    try:
        with suppress(OSError):  # a file system without locks
            if os.fstat(lock).st_uid == os.geteuid() and take_lock(lock, wait=False):  # otherwise its server is running
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
