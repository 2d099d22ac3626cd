"""A zip archive read in place, as one that might be hostile."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from emotiw.data_prep.images import UnreadableImageError
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp

# A frame of a film is 1 MB as PNG; CASIA-WebFace's half a million JPEGs are 5 GB.
_MOST_OF_A_FILE, _MOST_OF_ALL = 1 << 26, 1 << 37
# Deflate's own limit is 1032 to 1; pictures are packed already. Small files of one colour may shrink as they like.
_MOST_SHRUNK, _SMALL = 200, 1 << 20
_ENCRYPTED = 1
CHUNK = 1 << 20  # bytes of a large file that are in memory at once
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    UnicodeDecodeError,  # of a member's own name
)


def is_zip(name: str) -> bool:
    """Return whether a file's name says that it is a zip archive."""
    return name.lower().endswith(".zip")


@dataclass(frozen=True)
class Zip:
    """A zip archive as a source: nothing is unpacked to the disk here."""

    root: Path

    def files(self) -> list[str]:
        """Return every visible file.

        Raises
        ------
        EmotiwError
            Where the archive is not whole, is encrypted, holds a path that leads out of it, or would unpack to an
            absurd size.
        """
        members = self._archive().infolist()
        for member in members:
            if reason := _danger(member):
                raise EmotiwError(f"{self.root} holds {member.filename[:200]!r}, {reason}")
        if sum(member.file_size for member in members) > _MOST_OF_ALL:
            raise EmotiwError(f"{self.root} would unpack to more than {_MOST_OF_ALL >> 30} GiB: no set of faces does")
        return sorted({member.filename for member in members if not member.is_dir() and _visible(member.filename)})

    def read(self, path: str) -> bytes:
        """Return a file's bytes, checked against the length and CRC that the archive gives."""
        try:
            member = self._archive().getinfo(path)
            if reason := _danger(member) or _too_large(member):
                raise UnreadableImageError(reason)
            return self._archive().read(member)
        except KeyError:
            raise UnreadableImageError("not in the archive") from None
        except _DAMAGE as error:
            raise _damaged(error) from None

    def size(self, path: str) -> int:
        """Return the size in bytes that the archive gives a file."""
        return self._archive().getinfo(path).file_size

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file of any size, a MiB at a time, checked in the end as `read` checks them."""
        archive = self._archive()
        member = archive.getinfo(path)
        try:
            with archive.open(member) as file:
                yield from iter(lambda: file.read(CHUNK), b"")
                if file.tell() != member.file_size:
                    raise EOFError
        except _DAMAGE as error:
            raise _damaged(error) from None

    def head(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file."""
        try:
            with self._archive().open(path) as file:
                return file.read(size)
        except (KeyError, RuntimeError, *_DAMAGE):
            return b""

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the archive's size and time."""
        return file_stamp(self.root)

    def _archive(self) -> zipfile.ZipFile:
        try:
            return _opened(self.root, file_stamp(self.root))
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
            raise EmotiwError(f"{self.root} is no whole zip archive: copy it again") from None


@lru_cache(maxsize=8)
def _opened(path: Path, stamp: tuple[int, int]) -> zipfile.ZipFile:
    """Open an archive once a process: the directory of a large one takes seconds to read."""
    return zipfile.ZipFile(path)


def _danger(member: zipfile.ZipInfo) -> str:
    """Return why an archive with this member is not read, or nothing."""
    name = member.filename
    if not name:
        return "a file without a name: it is not read"
    if name.startswith("/") or "\\" in name or ":" in name.split("/")[0] or ".." in name.split("/"):
        return "a path that leads out of the archive: it is not read"
    if member.flag_bits & _ENCRYPTED:
        return "which is encrypted: unpack the archive with its password, and give the folder"
    if member.file_size > max(_SMALL, _MOST_SHRUNK * member.compress_size):
        return f"{member.file_size} bytes packed into {member.compress_size}: no picture shrinks so, it is not read"
    return ""


def _damaged(error: Exception) -> UnreadableImageError:
    return UnreadableImageError(f"damaged in its archive ({str(error) or 'cut off'})")


def _too_large(member: zipfile.ZipInfo) -> str:
    return f"larger than {_MOST_OF_A_FILE >> 20} MiB" if member.file_size > _MOST_OF_A_FILE else ""


def _visible(name: str) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
