"""Install a real Caffe without root, Docker or namespaces: Debian 11's packages, unpacked in the user's cache.

The install has `root/`, the unpacked packages with the additions of completion.py, and `bin/`, where `run` starts
each program with the loader and libraries of `root/`. The folder can be moved.
"""

import logging
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from emotiw.disk import require_space
from emotiw.engine.child_process import child_environment
from emotiw.errors import EmotiwError
from emotiw.files import cache_folder, remove, sha256_of, take_lock, whole

from . import apt
from .completion import FILES, LINKS, PROOF, complete
from .lockfile import LOCK, Package, checked, missing, read_lock

_LOG = logging.getLogger(__name__)

RUN = Path(__file__).with_name("run")

_BYTES = 800_000_000  # 159 MB of packages, 633 MB unpacked
_ROOM = "free some, or set $XDG_CACHE_HOME to a folder on another disk"

# The proofs leave the bytecode of what they import: Debian's packages have none, and where Python may not write it, as
# in an image, each start would compile pycaffe.
_ENVIRONMENT = {"LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": ""}

# All programs of the package `caffe`, and the Python of `python3-caffe`.
PROGRAMS = (
    "caffe",
    "caffe-gtest",
    "classification",
    "compute_image_mean",
    "convert_cifar_data",
    "convert_imageset",
    "convert_mnist_data",
    "convert_mnist_siamese_data",
    "extract_features",
    "python",
    "upgrade_net_proto_binary",
    "upgrade_net_proto_text",
    "upgrade_solver_proto_text",
)


def cache() -> Path:
    """Return the user's cache folder for Caffe."""
    return cache_folder() / "caffe"


def target(lock: Path = LOCK) -> Path:
    """Return the folder for an install of `lock`; its name depends on the lock, `run` and the completion files."""
    parts = (lock.read_text(encoding="utf-8"), RUN.read_text(encoding="utf-8"), FILES, LINKS)
    digest = sha256_of(repr(parts).encode())
    return cache() / f"debian11-{digest[:12]}"


def superseded(program: Path) -> list[Path]:
    """Return the installs of other emotiw versions in the cache folder of the `caffe` program in use."""
    current = program.parents[1]
    return sorted(folder for folder in current.parent.glob("debian11-*") if folder != current)


def installed(lock: Path = LOCK) -> Path | None:
    """Return the installed `caffe` program, or None."""
    program = target(lock) / "bin" / "caffe"
    return program if program.exists() else None


def install(mirror: str | None = None, force: bool = False, lock: Path = LOCK) -> Path:
    """Fetch, check and unpack the packages of `lock`; return the `caffe` program.

    The install is complete or absent. If two run at once, the second waits for the first and uses its install.

    Parameters
    ----------
    mirror : str, optional
        A Debian mirror's address; by default those of the host's apt are tried.
    force : bool
        Reinstall if it is already installed.
    lock : Path
        The lock file.

    Raises
    ------
    EmotiwError
        If the machine is not supported, no mirror works, or a package is wrong.
    """
    _require_machine()
    cache().mkdir(parents=True, exist_ok=True)
    with _alone(cache() / "lock"):
        program = installed(lock)
        if program and not force:
            return program
        require_space(cache(), "the install needs", _BYTES, _ROOM)
        downloads, packages = cache() / "packages", read_lock(lock)
        _LOG.info(f"installing Debian 11's Caffe ({len(packages)} packages) in {target(lock)}")
        archives = _obtain(packages, downloads, mirror)
        with whole(target(lock)) as folder:
            _unpack(archives, folder / "root")
            complete(folder / "root")
            _link_programs(folder / "bin")
            prove(folder / "bin")
            _run([folder / "bin" / "python", "-c", PROOF], "the unpacked pycaffe cannot run the usual scripts")
        remove(downloads)
    return target(lock) / "bin" / "caffe"


def _require_machine() -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise EmotiwError(
            f"Debian's Caffe is installed for Linux on amd64 only, this is {platform.system()} on "
            f"{platform.machine()}: name your own with --caffe"
        )
    if shutil.which("dpkg-deb") is None:
        raise EmotiwError("dpkg-deb not found: install the package dpkg")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the kernel releases it when this process dies."""
    with path.open("w") as file:
        if not take_lock(file.fileno(), wait=False):
            _LOG.warning("another `emotiw caffe install` is running: waiting for it")
            take_lock(file.fileno())
        yield


def _obtain(packages: list[Package], folder: Path, mirror: str | None) -> list[Path]:
    """Return the .debs, each checked; those already complete in `folder` are not fetched again."""
    folder.mkdir(exist_ok=True)
    wanted = missing(packages, folder)
    if wanted:
        apt.fetch(wanted, folder, mirror)
    return [checked(package, folder) for package in packages]


def _unpack(archives: list[Path], root: Path) -> None:
    root.mkdir(parents=True)
    for archive in tqdm(archives, desc="unpacking", unit=" packages", disable=None):
        _run(["dpkg-deb", "-x", archive, root], f"{archive.name}: cannot be unpacked")


def _link_programs(folder: Path) -> None:
    folder.mkdir()
    shutil.copyfile(RUN, folder / RUN.name)
    (folder / RUN.name).chmod(0o755)
    for name in PROGRAMS:
        (folder / name).symlink_to(RUN.name)


def prove(folder: Path) -> None:
    """Run the unpacked programs, before they count as installed."""
    _run([folder / "caffe", "--version"], "the unpacked Caffe does not start")
    _run([folder / "python", "-c", "import caffe; caffe.Net"], "the unpacked pycaffe cannot be imported")


def _run(command: list[str | Path], complaint: str) -> None:
    done = subprocess.run(
        command, env=child_environment(_ENVIRONMENT), capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"]
        raise EmotiwError(f"{complaint}: {reason[-1]}")
