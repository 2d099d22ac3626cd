"""Fetch Debian packages without root, by apt-get with private state folders.

apt checks the mirror's signature with the host's Debian archive keyring; the lock file's sha256 are checked, too.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from emotiw.engine.child_process import leashed, running
from emotiw.errors import EmotiwError, UsageError
from emotiw.files import remove

from .lockfile import Package

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "bullseye main"

# The host's apt.conf is read first, for its proxies and passwords; its hooks and preferences are disabled.
_CONFIGURATION = """\
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::State::lists "{state}/lists";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
"""


def sites() -> list[str]:
    """Return the mirrors that the host's apt is configured for, each once, in apt's order."""
    listed = _output("indextargets", "--format", "$(SITE)").split()
    # `indextargets` is empty before package lists are fetched; --print-uris works without them.
    addresses = re.findall(r"^'(\S+?)/dists/", _output("update", "--print-uris"), flags=re.MULTILINE)
    return list(dict.fromkeys(site.rstrip("/") for site in listed or addresses))


def fetch(packages: list[Package], folder: Path, mirror: str | None = None) -> None:
    """Download exactly these versions of `packages` into `folder`.

    Parameters
    ----------
    packages : list of Package
        What to fetch.
    folder : Path
        Destination; the private state is the folder `apt` next to it, removed afterwards.
    mirror : str, optional
        A Debian mirror's address; by default each of `sites()` is tried until one works.

    Raises
    ------
    EmotiwError
        If apt or the keyring is missing, or no mirror has Debian 11.
    """
    _require_apt()
    refusals = []
    for site in [_address(mirror)] if mirror else sites():
        try:
            _fetch_from(site, packages, folder)
        except EmotiwError as error:
            refusals.append(f"{site} ({error})")
        else:
            return
    tried = "; ".join(refusals) or "this machine's apt names no mirror"
    raise EmotiwError(f"Debian 11 is not available: {tried}: give --mirror URL of a Debian mirror that has bullseye")


def _require_apt() -> None:
    if shutil.which("apt-get") is None:
        raise EmotiwError("apt-get not found: use a Debian or Ubuntu, or name your own Caffe with --caffe")
    if not KEYRING.is_file():
        raise EmotiwError(f"{KEYRING} not found: install the package debian-archive-keyring")


def _address(mirror: str) -> str:
    if not re.fullmatch(r"[a-z][a-z+]*:/[^\s\[\]]+", mirror):
        raise UsageError(f"--mirror {mirror}: not an address such as https://HOST/debian")
    return mirror.rstrip("/")


def _fetch_from(site: str, packages: list[Package], folder: Path) -> None:
    state = folder.with_name("apt")
    remove(state)
    try:
        for part in ("lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True)
        (state / "status").touch()
        (state / "sources.list").write_text(f"deb [arch=amd64 signed-by={KEYRING}] {site} {SUITE}\n")
        (state / "apt.conf").write_text(_CONFIGURATION.format(state=state))
        _apt_get(state, "update", "-q")
        before = len(list(folder.glob("*.deb")))
        with tqdm(total=len(packages), desc=f"downloading from {site}", unit=" packages", disable=None) as bar:
            _apt_get(
                state,
                "download",
                *(f"{package.name}={package.version}" for package in packages),
                cwd=folder,
                tick=lambda: bar.update(len(list(folder.glob("*.deb"))) - before - bar.n),
            )
    finally:
        remove(state)


def _apt_get(state: Path, *args: str, cwd: Path | None = None, tick: Callable[[], object] = lambda: None) -> None:
    """Run `apt-get` on the private state, calling `tick` twice a second; raise its first error."""
    with tempfile.TemporaryFile() as log:
        command: list[str | Path] = ["apt-get", "-c", state / "apt.conf", *args]
        with running(leashed(command, cwd, stdout=log, stderr=log, env={"LC_ALL": "C"})) as child:
            while child.poll() is None:
                try:
                    child.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    tick()
            tick()
        log.seek(0)
        complaints = re.findall(r"^E: (.+)", log.read().decode(errors="replace"), flags=re.MULTILINE)
    if child.returncode:
        raise EmotiwError(complaints[0] if complaints else f"apt-get {args[0]} ended with {child.returncode}")


def _output(*args: str) -> str:
    with running(
        leashed(["apt-get", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"LC_ALL": "C"})
    ) as child:
        return child.communicate()[0].decode(errors="replace")
