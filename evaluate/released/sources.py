"""Sources of released models' files: Google Drive, a site, a zip archive, a folder, a single file."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from emotiw.data_prep.archives.zip import CHUNK, Zip, is_zip
from emotiw.data_prep.images import UnreadableImageError
from emotiw.disk import require_space
from emotiw.errors import EmotiwError, UsageError
from emotiw.progress_bar import bar

from .catalog import DEMO, DEPLOY, MEAN, WEIGHTS, File, released
from .download import RefusedError, download

_SUFFIXES = {Path(name).suffix: name for name in (WEIGHTS, MEAN, DEPLOY)}


class UnfitError(EmotiwError):
    """A source does not have the requested file."""


class Source(Protocol):
    """A source of models' files."""

    def offers(self) -> Collection[str]:
        """Return the files of a model that it provides."""

    def give(self, name: str, file: File, target: Path) -> None:
        """Write a file of the model `name` to `target`; raise `EmotiwError` if it cannot be fetched."""

    def give_demo(self, name: str, target: Path) -> bool:
        """Write the demo image of the model `name` to `target`, if it has one; return whether it has."""


class _NoDemo:
    """A source without demo images: Google Drive has no single file of them."""

    def give_demo(self, name: str, target: Path) -> bool:
        """Return that there is none."""
        return False


class _Whole(_NoDemo):
    """A source of complete models."""

    def offers(self) -> Collection[str]:
        """Return all of a model's files."""
        return (WEIGHTS, MEAN, DEPLOY)


@dataclass(frozen=True)
class Drive(_Whole):
    """The authors' own files on Google Drive, by the ids of `released.csv`."""

    def __str__(self) -> str:
        return "Google Drive"

    def give(self, name: str, file: File, target: Path) -> None:
        """Download it; if Drive refuses, explain how to do it by hand."""
        try:
            download(drive_address(file), target, f"{name}/{file.name}")
        except RefusedError as error:
            raise EmotiwError(
                f"Google Drive does not give {name}/{file.name} ({error}): open "
                f"https://drive.google.com/file/d/{file.drive}/view in a browser, save the file, then: "
                f"emotiw models fetch {name} --from FILE"
            ) from None


def drive_address(file: File) -> str:
    """Return the URL from which gdown fetches a file on Google Drive."""
    return f"https://drive.google.com/uc?id={file.drive}"


@dataclass(frozen=True)
class Site(_Whole):
    """A URL to which <NAME>/<file> is appended."""

    url: str

    def __str__(self) -> str:
        return self.url

    def give(self, name: str, file: File, target: Path) -> None:
        """Download it."""
        download(f"{self.url.rstrip('/')}/{name}/{file.name}", target, f"{name}/{file.name}")


@dataclass(frozen=True)
class Archive(_Whole):
    """A zip archive, such as the authors' DemoDir.zip, with members that end in <NAME>/<file>."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def give(self, name: str, file: File, target: Path) -> None:
        """Unpack it."""
        self._unpack(PurePosixPath(name, file.name), target)

    def give_demo(self, name: str, target: Path) -> bool:
        """Unpack it, if it is there."""
        wanted = PurePosixPath(name, DEMO)
        has = any(_is(member, wanted) for member in self._members())
        if has:
            self._unpack(wanted, target)
        return has

    def _members(self) -> list[str]:
        try:
            return Zip(self.path).files()
        except EmotiwError as error:
            raise UnfitError(str(error)) from None

    def _unpack(self, wanted: PurePosixPath, target: Path) -> None:
        archive, members = Zip(self.path), self._members()
        found = [member for member in members if _is(member, wanted)]
        if len(found) != 1:
            models = _models_in(members)
            raise UnfitError(f"{self.path} holds {len(found)} files {wanted}, expected 1; models in it: {models}")
        try:
            _pour(archive.chunks(found[0]), archive.size(found[0]), target, str(wanted))
        except UnreadableImageError as error:
            raise UnfitError(f"{self.path}: {found[0]} is {error}: copy the archive again") from None


def _is(member: str, wanted: PurePosixPath) -> bool:
    """Return whether an archive's member ends in <NAME>/<file>."""
    return PurePosixPath(member).parts[-2:] == wanted.parts


@dataclass(frozen=True)
class SiteArchive(_Whole):
    """A URL of a zip archive, which is downloaded into a folder when its first file is requested."""

    url: str
    folder: Path

    def __str__(self) -> str:
        return self.url

    def give(self, name: str, file: File, target: Path) -> None:
        """Unpack it."""
        if not self._path.is_file():
            download(self.url, self._path, self._path.name)
        Archive(self._path).give(name, file, target)

    def give_demo(self, name: str, target: Path) -> bool:
        """Unpack it, if it is there; for it alone, an archive of 2 GB is not downloaded."""
        return self._path.is_file() and Archive(self._path).give_demo(name, target)

    @property
    def _path(self) -> Path:
        return self.folder / PurePosixPath(unquote(urlsplit(self.url).path)).name


def _models_in(members: Sequence[str]) -> str:
    """Return the models of which an archive has files."""
    return ", ".join(name for name in released() if any(name in PurePosixPath(m).parts for m in members)) or "none"


def _copy(path: Path, target: Path, title: str) -> None:
    """Copy a file, with a progress bar."""
    with path.open("rb") as file:
        _pour(iter(lambda: file.read(CHUNK), b""), path.stat().st_size, target, title)


def _pour(chunks: Iterable[bytes], size: int, target: Path, title: str) -> None:
    """Write chunks of a MiB, with a progress bar."""
    require_space(target.parent, f"{title} needs", size)
    with target.open("wb") as file, bar(chunks, title, -(-size // CHUNK), "MiB") as shown:
        file.writelines(shown)


@dataclass(frozen=True)
class Folder(_Whole):
    """A folder that contains the models' folders, or is one of them."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def give(self, name: str, file: File, target: Path) -> None:
        """Copy it."""
        found = self._found(name, file.name)
        if not found.is_file():
            raise UnfitError(f"{self.path} holds no {name}/{file.name}: give the folder that has {name} in it")
        _copy(found, target, f"{name}/{file.name}")

    def give_demo(self, name: str, target: Path) -> bool:
        """Copy it, if it is there."""
        found = self._found(name, DEMO)
        if found.is_file():
            _copy(found, target, f"{name}/{DEMO}")
        return found.is_file()

    def _found(self, name: str, file: str) -> Path:
        below = self.path / name / file
        return below if below.is_file() or self.path.name != name else self.path / file


@dataclass(frozen=True)
class Single(_NoDemo):
    """A single file, identified by its suffix."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def offers(self) -> Collection[str]:
        """Return this file."""
        return (_SUFFIXES[self.path.suffix.lower()],)

    def give(self, name: str, file: File, target: Path) -> None:
        """Copy it."""
        _copy(self.path, target, f"{name}/{file.name}")


def open_source(named: str | None, names: Collection[str], store: Path) -> Source:
    """Return the source that --from names; the default is Google Drive.

    Parameters
    ----------
    named
        A zip archive, a file of a model, a folder, or an http(s) URL of a zip or of a site with the files.
    names
        The requested models.
    store
        A folder for this source only, into which a zip is downloaded from a URL.
    """
    if named is None:
        return Drive()
    if "://" in named:
        return _of_url(named, store)
    path = Path(named)
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise UsageError(f"{named}: no such file or folder")
    if is_zip(path.name):
        return Archive(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{named}: expected a .zip, a {', a '.join(_SUFFIXES)}, a folder, or a URL")
    if len(names) != 1:
        raise UsageError(f"{named} is a file of one model, and {len(names)} are asked for: name the one it belongs to")
    return Single(path)


def _of_url(url: str, store: Path) -> Source:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(f"{url}: expected a URL of http or https") from None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UsageError(f"{url}: expected a URL of http or https")
    return SiteArchive(url, store) if is_zip(parts.path) else Site(url)
