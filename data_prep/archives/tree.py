"""Where the bytes of an image come from: a folder, or archives that were left unpacked.

A source holds its own place and nothing more; what must be looked up (an archive's directory, an index) is read once.
"""

import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Protocol

from emotiw.data_prep.images import UnreadableImageError
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp

from .zip import Zip, is_zip

_LONGEST_LINE = 1 << 16


class Source(Protocol):
    """What hands out the files of images by their paths in it."""

    def read(self, path: str) -> bytes:
        """Return the bytes of an image file; raise `UnreadableImageError` with the reason where there are none."""

    def stamp(self, path: str) -> tuple[int, int]:
        """Return two numbers that change when the file changes, such as its size and time."""


class Tree(Source, Protocol):
    """A source whose files can be listed."""

    def files(self) -> list[str]:
        """Return the relative path of every visible file, with forward slashes, in one order on every machine."""

    def head(self, path: str, size: int) -> bytes:
        """Return at most the first `size` bytes of a file; none of one that cannot be read."""


@dataclass(frozen=True)
class Folder:
    """A folder on the disk."""

    root: Path

    def files(self) -> list[str]:
        """Return every visible file; links are followed."""
        found = []
        for folder, folders, files in os.walk(self.root, followlinks=True):
            here = Path(folder).resolve()
            folders[:] = [
                # A link to a folder that holds it would be followed for ever.
                name
                for name in folders
                if not name.startswith(".") and not here.is_relative_to((here / name).resolve())
            ]
            relative = PurePosixPath(Path(folder).relative_to(self.root))
            found += [str(relative / name) for name in files if not name.startswith(".")]
        return sorted(found)

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""
        try:
            with FileIO(f"{self.root}/{path}") as file:  # a Path each would take as long as the reading
                return file.readall()
        except OSError as error:
            raise UnreadableImageError(error.strerror or "cannot be read") from None

    def head(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(size)
        except OSError:
            return b""

    def stamp(self, path: str) -> tuple[int, int]:
        """Return a file's size and time; of one that is not there, -1."""
        try:
            return file_stamp(f"{self.root}/{path}")
        except OSError:
            return -1, -1


@dataclass(frozen=True)
class FolderOfZips(Folder):
    """A folder whose zip archives count as folders: `Train/Faces.zip/Happy/1.png`."""

    def files(self) -> list[str]:
        """Return every visible file, those inside the archives instead of the archives."""
        found = []
        for path in super().files():
            inside = Zip(self.root / path).files() if is_zip(path) else None
            found += [path] if inside is None else [f"{path}/{name}" for name in inside]
        return sorted(found)

    def read(self, path: str) -> bytes:
        """Return a file's bytes, out of its archive where it lies in one."""
        source, name = self._holder(path)
        return source.read(name)

    def stamp(self, path: str) -> tuple[int, int]:
        """Return a file's stamp in what holds it."""
        source, name = self._holder(path)
        return source.stamp(name)

    def _holder(self, path: str) -> tuple[Source, str]:
        parts = PurePosixPath(path).parts
        for depth in range(1, len(parts)):
            archive = self.root.joinpath(*parts[:depth])
            if is_zip(parts[depth - 1]) and archive.is_file():
                return Zip(archive), "/".join(parts[depth:])
        return Folder(self.root), path


Unpack = Callable[[Zip, Sequence[str]], Path]
"""What unpacks some files of an archive, and returns the folder that then holds them under their paths in it."""


def refuse_to_unpack(archive: Zip, names: Sequence[str]) -> Path:
    """Refuse: an `Unpack` for where there is no place for it."""
    raise EmotiwError(f"{archive.root} holds {names[0]}, read here and there: unpack the archive and give the folder")


@dataclass(frozen=True)
class Found:
    """What lies at SOURCE: a layout is recognised by it, and lists its images.

    Attributes
    ----------
    tree
        The source of the bytes; of a SOURCE that is a single file, the folder it lies in.
    files
        The tree's files; of a SOURCE that is a single file, that one.
    unpack
        What unpacks such files of an archive as are read here and there.
    table
        The only table or list that counts; None where all of them do.
    images
        What a table's paths lie in, where that is not the table's own folder.
    """

    place: Path
    tree: Folder | Zip
    files: tuple[str, ...]
    unpack: Unpack = refuse_to_unpack
    table: str | None = None
    images: "Found | None" = None

    @cached_property
    def top(self) -> PurePosixPath:
        """The folder in which all files lie: an archive often wraps what it holds."""
        folders = {str(PurePosixPath(path).parent) for path in self.files}
        return PurePosixPath(os.path.commonpath(folders) if folders else "")

    def only(self, *endings: str, top: bool = False) -> str | None:
        """Return the only file (with `top`: right in the folder of all) whose name ends so, in any case; else None."""
        names = [path for path in self.files if path.lower().endswith(endings) and self.table in (None, path)]
        names = [path for path in names if not top or self.table or PurePosixPath(path).parent == self.top]
        return names[0] if len(names) == 1 else None

    def where(self, name: str) -> str:
        """Return how a complaint names a file of this source."""
        return str(self.place) if self.place.name == name else f"{self.place}: {name}"

    def head(self, name: str | None) -> str:
        """Return the first line of a text, without a byte order mark; nothing where there is none."""
        data = self.tree.head(name, _LONGEST_LINE) if name else b""
        return data.decode("utf-8-sig", errors="replace").partition("\n")[0].strip()

    def text(self, name: str) -> str:
        """Return a text, such as a table or a list."""
        try:
            return self.tree.read(name).decode("utf-8-sig")
        except UnreadableImageError as error:
            raise EmotiwError(f"{self.where(name)} cannot be read: {error}") from None
        except UnicodeDecodeError:
            raise EmotiwError(f"{self.where(name)} is no UTF-8 text: save it as such") from None

    def root(self, *names: str) -> Path:
        """Return the folder that holds these files, to read them here and there, which an archive does not allow."""
        return self.unpack(self.tree, names) if isinstance(self.tree, Zip) else self.tree.root


def look(place: Path, unpack: Unpack = refuse_to_unpack) -> Found:
    """Return what lies at SOURCE: a folder, a zip archive or a single file.

    Raises
    ------
    EmotiwError
        Where there is nothing, or an archive that is not whole or not safe.
    """
    if place.is_dir():
        folder = Folder(place)
        return Found(place, folder, tuple(folder.files()))
    if not place.is_file():
        raise EmotiwError(f"{place} is no folder: give the folder that holds <class>/<image>")
    if is_zip(place.name) or zipfile.is_zipfile(place):
        archive = Zip(place)
        return Found(place, archive, tuple(archive.files()), unpack)
    return Found(place, Folder(place.parent), (place.name,))
