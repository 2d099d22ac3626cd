"""The pinned packages of the installed Caffe: `debian11.lock` lists name, version and sha256 of each."""

from dataclasses import dataclass
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.files import file_digest

LOCK = Path(__file__).with_name("debian11.lock")


@dataclass(frozen=True)
class Package:
    """One Debian package as the lock file pins it.

    Attributes
    ----------
    name, version : str
        As `dpkg` writes them.
    sha256 : str
        Of the whole .deb file, 64 hexadecimal digits.
    """

    name: str
    version: str
    sha256: str

    def archive(self, folder: Path) -> Path | None:
        """Return the .deb in `folder`, or None; apt writes the colon of a version's epoch as `%3a`."""
        stem = f"{self.name}_{self.version.replace(':', '%3a')}"
        files = (folder / f"{stem}_{architecture}.deb" for architecture in ("amd64", "all"))
        return next((file for file in files if file.is_file()), None)


def read_lock(path: Path = LOCK) -> list[Package]:
    """Read a lock file with lines `package version sha256`; `#` starts a comment.

    Raises
    ------
    EmotiwError
        If a line has another format.
    """
    packages = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words and (len(words) != 3 or len(words[2]) != 64):
            raise EmotiwError(f"{path}:{number}: expected `package version sha256`, got `{line}`")
        if words:
            packages.append(Package(*words))
    return packages


def checked(package: Package, folder: Path) -> Path:
    """Return the package's .deb in `folder`, its bytes checked.

    Raises
    ------
    EmotiwError
        If it is missing, or its sha256 differs from the lock's; a wrong file is removed, so that it is fetched again.
    """
    archive = package.archive(folder)
    if archive is None:
        raise EmotiwError(f"the mirror did not deliver {package.name} {package.version}: give --mirror URL of another")
    found = file_digest(archive)
    if found != package.sha256:
        archive.unlink()
        raise EmotiwError(
            f"{archive.name}: sha256 {found}, but debian11.lock says {package.sha256}: "
            "run again, or give --mirror URL of another mirror"
        )
    return archive


def missing(packages: list[Package], folder: Path) -> list[Package]:
    """Return those of `packages` that are not complete in `folder`; damaged files are removed."""

    def held(package: Package) -> bool:
        try:
            return checked(package, folder).is_file()
        except EmotiwError:
            return False

    return [package for package in packages if not held(package)]
