"""Read a zip archive in place; it may be hostile."""

import lzma
import os
import struct
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
# Deflate's own limit is 1032 to 1; image files are compressed already. Small files of one colour may have any ratio.
_MOST_SHRUNK, _SMALL = 200, 1 << 20
_ENCRYPTED = 1
# The signature of an archive's end record, and its two disk numbers; a zip64 locator may precede the record.
_END_RECORD, _DISKS = b"PK\5\6", struct.Struct("<4xHH")
_LOCATOR_BEGIN, _LOCATOR = b"PK\6\7", struct.Struct("<4xIQI")
_LONGEST_END = (1 << 16) + 22 + _LOCATOR.size
_ONE_DISK = (0, 0xFFFF)  # 0xFFFF refers to the zip64 record
CHUNK = 1 << 20  # bytes of a large file that are in memory at once
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    UnicodeDecodeError,  # in a member's name
)


def is_zip(name: str) -> bool:
    """Return whether a file's name says that it is a zip archive."""
    return name.lower().endswith(".zip")


@dataclass(frozen=True)
class Zip:
    """A zip archive as a source; it is read in place, not unpacked to the disk."""

    root: Path

    def files(self) -> list[str]:
        """Return every visible file.

        Raises
        ------
        EmotiwError
            If the archive is damaged, is encrypted, holds a path that leads out of it, or would unpack to an absurd
            size.
        """
        members = self._archive().members
        for path, member in members.items():
            if reason := _danger(path, member):
                raise EmotiwError(f"{self.root} holds {member.orig_filename[:200]!r}, {reason}")
        if sum(member.file_size for member in members.values()) > _MOST_OF_ALL:
            raise EmotiwError(
                f"{self.root} would unpack to more than {_MOST_OF_ALL >> 30} GiB, which no set of faces needs: it is "
                "not read"
            )
        return sorted(path for path in members if not path.endswith("/") and _visible(path))

    def read(self, path: str) -> bytes:
        """Return a file's bytes, checked against the length and CRC that the archive gives."""
        try:
            archive = self._archive()
            member = archive.members[path]
            if reason := _danger(path, member) or _too_large(member):
                raise UnreadableImageError(reason)
            return archive.file.read(member)
        except KeyError:
            raise UnreadableImageError("not in the archive") from None
        except _DAMAGE as error:
            raise _damaged(error) from None

    def size(self, path: str) -> int:
        """Return the size in bytes that the archive gives a file."""
        return self._archive().members[path].file_size

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file of any size, a MiB at a time; their length and CRC are checked at the end."""
        archive = self._archive()
        member = archive.members[path]
        try:
            with archive.file.open(member) as file:
                yield from iter(lambda: file.read(CHUNK), b"")
                if file.tell() != member.file_size:
                    raise EOFError
        except _DAMAGE as error:
            raise _damaged(error) from None

    def head(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file."""
        try:
            archive = self._archive()
            with archive.file.open(archive.members[path]) as file:
                return file.read(size)
        except (KeyError, RuntimeError, *_DAMAGE):
            return b""

    def stamp(self, path: str) -> tuple[int, int]:
        """Return the archive's size and time."""
        return file_stamp(self.root)

    def _archive(self) -> "_Opened":
        try:
            return _opened(self.root, file_stamp(self.root))
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
            raise EmotiwError(f"{self.root} is not a complete zip archive: copy it again") from None


@dataclass(frozen=True)
class _Opened:
    """An open archive and its members by path; backslashes, which some programs write, are replaced by slashes."""

    file: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]


@lru_cache(maxsize=8)
def _opened(path: Path, stamp: tuple[int, int]) -> _Opened:
    """Open an archive; cached, because reading the directory of a large one takes seconds."""
    if _has_other_disks(path):
        raise _split(path)
    file = zipfile.ZipFile(path)
    members: dict[str, zipfile.ZipInfo] = {}
    for member in file.infolist():
        if member.volume not in _ONE_DISK or member.header_offset < 0:
            raise _split(path)
        name = member.filename.replace("\\", "/")
        other = members.setdefault(name, member)
        if other.filename != member.filename:
            both = f"{other.filename[:200]!r} and {member.filename[:200]!r}"
            raise EmotiwError(f"{path} holds {both}, which are one path: pack it again with one of them")
        members[name] = member
    return _Opened(file, members)


def _has_other_disks(path: Path) -> bool:
    """Return whether the end record of an archive says that the archive begins in another file."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _LONGEST_END), os.SEEK_END)
        tail = file.read()
    place = tail.rfind(_END_RECORD)
    if place < 0 or len(tail) - place < _DISKS.size:
        return False
    locator = tail[max(place - _LOCATOR.size, 0) : place]
    disks = _LOCATOR.unpack(locator)[-1] if locator.startswith(_LOCATOR_BEGIN) and len(locator) == _LOCATOR.size else 1
    return disks > 1 or any(disk not in _ONE_DISK for disk in _DISKS.unpack_from(tail, place))


def _split(path: Path) -> EmotiwError:
    return EmotiwError(
        f"{path} is the last part of a split zip archive: join the parts (zip -s 0 {path.name} --out whole.zip; those "
        "named .001, .002, ... by cat, in order) and give the whole"
    )


def _danger(name: str, member: zipfile.ZipInfo) -> str:
    """Return why an archive with this member under this path is not read; empty if it is."""
    if not name:
        return "a file without a name: it is not read"
    if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
        return "a path that leads out of the archive: it is not read"
    if member.flag_bits & _ENCRYPTED:
        return "which is encrypted: unpack the archive with its password, and give the folder"
    if member.file_size > max(_SMALL, _MOST_SHRUNK * member.compress_size):
        return f"{member.file_size} bytes packed into {member.compress_size}: no image shrinks so much, it is not read"
    return ""


def _damaged(error: Exception) -> UnreadableImageError:
    return UnreadableImageError(f"damaged in its archive ({str(error) or 'cut off'})")


def _too_large(member: zipfile.ZipInfo) -> str:
    return f"larger than {_MOST_OF_A_FILE >> 20} MiB" if member.file_size > _MOST_OF_A_FILE else ""


def _visible(name: str) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
