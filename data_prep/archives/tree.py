"""Sources of image files: a folder, or archives that are read in place.

A source holds only its path; what must be looked up (an archive's directory, an index) is read once and cached.
"""

import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Protocol

from emotiw.data_prep.images import UnreadableImageError
from emotiw.errors import EmotiwError
from emotiw.files import file_stamp
from emotiw.progress_bar import bar

from .zip import Zip, is_zip

_LONGEST_LINE = 1 << 16


_FOLDERS = 1 << 16  # that stay parsed; half a million images of CASIA-WebFace are in ten thousand


def folder_of(path: str) -> PurePosixPath:
    """Return the folder of a file, by the file's relative path with forward slashes.

    Parsing the path of every image takes longer than listing the files, so each folder is parsed once.

    Examples
    --------
    >>> folder_of("0000045/001.jpg").parts, folder_of("001.jpg").parts
    (('0000045',), ())
    """
    return _folder(path.rpartition("/")[0])


_folder = lru_cache(_FOLDERS)(PurePosixPath)


class Source(Protocol):
    """A source of image files by their paths."""

    def read(self, path: str) -> bytes:
        """Return the bytes of an image file; raise `UnreadableImageError` with the reason if it cannot be read."""

    def stamp(self, path: str) -> tuple[int, int]:
        """Return two numbers that change when the file changes, such as its size and time."""


class Tree(Source, Protocol):
    """A source that can list its files."""

    def files(self) -> list[str]:
        """Return the relative path of every visible file, with forward slashes, in the same order on every machine."""

    def head(self, path: str, size: int) -> bytes:
        """Return at most the first `size` bytes of a file; empty if it cannot be read."""


@dataclass(frozen=True)
class Folder:
    """A folder on the disk."""

    root: Path

    def files(self) -> list[str]:
        """Return every visible file; links are followed."""
        found = []
        walk = os.walk(self.root, followlinks=True)
        for folder, folders, files in bar(walk, "list", None, "folder", short=True):
            here = Path(folder).resolve()
            folders[:] = [
                # A link to a folder that contains the link would be followed forever.
                name
                for name in folders
                if not name.startswith(".") and not here.is_relative_to((here / name).resolve())
            ]
            relative = Path(folder).relative_to(self.root).as_posix()
            above = "" if relative == "." else f"{relative}/"
            found += [f"{above}{name}" for name in files if not name.startswith(".")]
        return sorted(found)

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""
        try:
            with FileIO(f"{self.root}/{path}") as file:  # building a Path takes as long as reading
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
        """Return a file's size and modification time; -1 for both if it does not exist."""
        try:
            return file_stamp(f"{self.root}/{path}")
        except OSError:
            return -1, -1


@dataclass(frozen=True)
class FolderOfZips(Folder):
    """A folder in which zip archives count as folders: `Train/Faces.zip/Happy/1.png`."""

    def files(self) -> list[str]:
        """Return every visible file, with the files of an archive instead of the archive."""
        found = []
        for path in super().files():
            inside = Zip(self.root / path).files() if is_zip(path) else None
            found += [path] if inside is None else [f"{path}/{name}" for name in inside]
        return sorted(found)

    def read(self, path: str) -> bytes:
        """Return a file's bytes, from its archive if it is in one."""
        source, name = self._holder(path)
        return source.read(name)

    def stamp(self, path: str) -> tuple[int, int]:
        """Return a file's stamp in its folder or archive."""
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
"""A function that unpacks files of an archive, and returns the folder that holds them under their paths."""


def refuse_to_unpack(archive: Zip, names: Sequence[str]) -> Path:
    """Raise `EmotiwError`: the `Unpack` of callers that have no folder to unpack into."""
    raise EmotiwError(
        f"{archive.root} holds {names[0]}, which needs random access: unpack the archive and give the folder"
    )


@dataclass(frozen=True)
class Found:
    """The files at SOURCE, by which layouts recognise it and list its images.

    Attributes
    ----------
    tree
        The source of the bytes; if SOURCE is a single file, its folder.
    files
        The tree's files; if SOURCE is a single file, that file.
    unpack
        Unpacks the files of an archive that need random access.
    table
        The only table or list to use; None: all of them.
    images
        What a table's paths are relative to, if that is not the table's folder.
    """

    place: Path
    tree: Folder | Zip
    files: tuple[str, ...]
    unpack: Unpack = refuse_to_unpack
    table: str | None = None
    images: "Found | None" = None

    @cached_property
    def top(self) -> PurePosixPath:
        """The deepest folder that contains all files: an archive often wraps its files in one."""
        folders = {str(folder) for folder in {folder_of(path) for path in self.files}}
        return PurePosixPath(os.path.commonpath(folders) if folders else "")

    def only(self, *endings: str, top: bool = False) -> str | None:
        """Return the only file with one of these endings, in any case; None if there are none or several.

        With `top`, only files directly in `self.top` count.
        """
        names = [path for path in self.files if path.lower().endswith(endings) and self.table in (None, path)]
        names = [path for path in names if not top or self.table or folder_of(path) == self.top]
        return names[0] if len(names) == 1 else None

    def where(self, name: str) -> str:
        """Return the name of a file of this source for error messages."""
        return str(self.place) if self.place.name == name else f"{self.place}: {name}"

    def head(self, name: str | None) -> str:
        """Return the first line of a text file, without a byte order mark; empty if there is none."""
        data = self.tree.head(name, _LONGEST_LINE) if name else b""
        return data.decode("utf-8-sig", errors="replace").partition("\n")[0].strip()

    def text(self, name: str) -> str:
        """Return the text of a file, such as a table or a list.

        Raises
        ------
        EmotiwError
            If it cannot be read, or is not UTF-8.
        """
        try:
            return self.tree.read(name).decode("utf-8-sig")
        except UnreadableImageError as error:
            raise EmotiwError(f"{self.where(name)} cannot be read: {error}") from None
        except UnicodeDecodeError:
            raise EmotiwError(f"{self.where(name)} is not UTF-8 text: save it as UTF-8") from None

    def root(self, *names: str) -> Path:
        """Return a folder that holds these files, for random access; files of an archive are unpacked."""
        return self.unpack(self.tree, names) if isinstance(self.tree, Zip) else self.tree.root


def look(place: Path, unpack: Unpack = refuse_to_unpack) -> Found:
    """Return the files at SOURCE, which is a folder, a zip archive or a single file.

    Raises
    ------
    EmotiwError
        If there is nothing, or an archive that is damaged or not safe.
    """
    if place.is_dir():
        folder = Folder(place)
        return Found(place, folder, tuple(folder.files()))
    if not place.is_file():
        raise EmotiwError(f"{place}: no such file or folder: give the folder that holds <class>/<image>")
    if is_zip(place.name) or zipfile.is_zipfile(place):
        archive = Zip(place)
        return Found(place, archive, tuple(archive.files()), unpack)
    return Found(place, Folder(place.parent), (place.name,))
