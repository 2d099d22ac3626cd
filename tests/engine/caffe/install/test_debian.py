"""The install, without a network: our own packages, built with dpkg-deb, replace Debian's."""

import hashlib
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from emotiw.engine.caffe.install import apt, debian
from emotiw.engine.caffe.install.lockfile import Package, checked, missing, read_lock
from emotiw.errors import EmotiwError

LOADER = 'printf "%s\\n" "$@" "$PYTHONHOME" "$PYTHONPATH"'


def build(folder, name, version, files):
    """Build one .deb with `files` (path -> script); return its package."""
    tree = folder / f"tree-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    for path, script in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(f"#!/bin/sh\n{script}\n")
        (tree / path).chmod(0o755)
    archive = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
    subprocess.run(["dpkg-deb", "-b", tree, archive], check=True, stdout=subprocess.DEVNULL)
    return Package(name, version, hashlib.sha256(archive.read_bytes()).hexdigest())


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder of two packages; a lock file that pins them; `apt.fetch` copying from it and noting what it fetched."""
    served = tmp_path / "served"
    served.mkdir()
    packages = [
        build(served, "loader", "1:2.31-1", {"lib/x86_64-linux-gnu/ld-2.31.so": LOADER}),
        build(served, "programs", "8+b2", {"usr/bin/caffe": "exit 1"}),
    ]
    lock = tmp_path / "test.lock"
    lock.write_text("# two\n" + "".join(f"{p.name} {p.version} {p.sha256}\n" for p in packages))
    fetched = []

    def fetch(wanted, folder, mirror=None):
        for package in wanted:
            fetched.append(package.name)
            shutil.copy(package.archive(served), folder)

    monkeypatch.setattr(apt, "fetch", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "the cache"))
    return served, lock, fetched


def test_lock_pins_the_packages_of_debian_11():
    packages = {package.name: package for package in read_lock()}
    assert len(packages) == len(read_lock()) == 223
    for name in ("caffe", "python3-caffe", "libcaffe1"):
        assert packages[name].version == "1.0.0+git20180821.99bd997-8+b2"
    assert {"libopenblas0-pthread", "python3-lmdb"} <= set(packages)


@pytest.mark.parametrize("line", ["caffe 1.0", "caffe 1.0 abc", "caffe 1.0 " + "0" * 64 + " more"])
def test_lock_line_of_another_form_is_refused(tmp_path, line):
    path = tmp_path / "bad.lock"
    path.write_text(f"# comment\n{line}\n")
    with pytest.raises(EmotiwError, match=r"bad\.lock:2: expected"):
        read_lock(path)


def test_installs_programs_that_run_through_their_own_loader(mirror):
    _, lock, fetched = mirror
    program = debian.install(lock=lock)
    assert fetched == ["loader", "programs"]
    assert program == debian.installed(lock)
    root = program.parents[1] / "root"
    libraries = [
        "usr/lib/x86_64-linux-gnu/openblas-pthread",
        "lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu/blas",
        "usr/lib/x86_64-linux-gnu/lapack",
        "usr/lib/x86_64-linux-gnu/hdf5/serial",
        "usr/lib",
    ]
    said = subprocess.run([program, "train", "a b"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert said.stdout.splitlines() == [
        "--library-path",
        ":".join(f"{root}/{library}" for library in libraries),
        f"{root}/usr/bin/caffe",
        "train",
        "a b",
        f"{root}/usr",
        f"{root}/usr/lib/python3/dist-packages",
    ]
    assert not (program.parents[2] / "packages").exists()


def test_the_completion_is_unpacked_too_and_moves_with_the_rest(mirror, tmp_path):
    _, lock, _ = mirror
    root = debian.install(lock=lock).parents[1].rename(tmp_path / "moved") / "root"
    for name, text in debian.FILES.items():
        assert (root / name).read_text() == text
    for name, target in debian.LINKS.items():
        assert (root / name).is_symlink()
        assert (root / name).parent.joinpath(target).resolve().is_relative_to(root.resolve())
    assert root.joinpath("usr/lib/python3/dist-packages/emotiw_as_grey.py").is_file()


@pytest.mark.parametrize("part", ["FILES", "LINKS"])
def test_another_completion_is_another_folder(mirror, monkeypatch, part):
    _, lock, _ = mirror
    program = debian.install(lock=lock)
    before = program.parents[1]
    assert debian.superseded(program) == []
    monkeypatch.setattr(debian, part, {**getattr(debian, part), "usr/more": "more"})
    assert debian.installed(lock) is None
    again = debian.install(lock=lock)
    assert again.parents[1] != before
    assert debian.superseded(again) == [before]


def test_installed_folder_can_move_and_be_linked_to(mirror, tmp_path):
    _, lock, _ = mirror
    moved = debian.install(lock=lock).parents[1].rename(tmp_path / "moved to here")
    (tmp_path / "a link").symlink_to(moved / "bin/caffe")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere/python"
    link.symlink_to(moved / "bin/python")
    said = subprocess.run([link, "x.py"], capture_output=True, text=True, check=True)
    assert f"{moved}/root/usr/bin/python3.9\nx.py\n{moved}/root/usr\n" in said.stdout


def test_second_install_does_nothing_and_force_does_all(mirror):
    _, lock, fetched = mirror
    first = debian.install(lock=lock)
    mark = first.parent / "mark"
    mark.touch()
    assert debian.install(lock=lock) == first
    assert mark.exists()
    debian.install(lock=lock, force=True)
    assert not mark.exists()
    assert fetched == ["loader", "programs"] * 2


def test_complete_packages_of_an_interrupted_download_are_kept(mirror):
    served, lock, fetched = mirror
    packages = read_lock(lock)
    downloads = debian.cache() / "packages"
    downloads.mkdir(parents=True)
    shutil.copy(packages[0].archive(served), downloads)
    half = packages[1].archive(served)
    (downloads / half.name).write_bytes(half.read_bytes()[:100])
    assert missing(packages, downloads) == [packages[1]]
    debian.install(lock=lock)
    assert fetched == ["programs"]


def test_wrong_bytes_are_refused_and_removed(mirror):
    served, lock, _ = mirror
    package = read_lock(lock)[1]
    archive = package.archive(served)
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(EmotiwError, match=rf"programs_8\+b2_all.deb: sha256 .* says {package.sha256}"):
        debian.install(lock=lock)
    assert debian.installed(lock) is None
    assert package.archive(debian.cache() / "packages") is None
    with pytest.raises(EmotiwError, match=r"did not deliver programs 8\+b2"):
        checked(package, debian.cache() / "packages")


def test_a_package_that_cannot_be_unpacked_leaves_nothing(mirror):
    served, lock, _ = mirror
    package = read_lock(lock)[1]
    archive = package.archive(served)
    archive.write_bytes(b"no archive")
    sha256 = hashlib.sha256(b"no archive").hexdigest()
    lock.write_text(lock.read_text().replace(package.sha256, sha256))
    with pytest.raises(EmotiwError, match=r"^programs_8\+b2_all\.deb: cannot be unpacked: [^\n]+$"):
        debian.install(lock=lock)
    assert sorted(path.name for path in debian.cache().iterdir()) == ["lock", "packages"]


def with_loader(mirror, script):
    """Replace the package of the loader, which starts all programs."""
    served, lock, _ = mirror
    package = read_lock(lock)[0]
    package.archive(served).unlink()
    shutil.rmtree(served / "tree-loader")
    other = build(served, "loader", "1:2.31-1", {"lib/x86_64-linux-gnu/ld-2.31.so": script})
    lock.write_text(lock.read_text().replace(package.sha256, other.sha256))
    return lock


def test_a_caffe_that_does_not_start_does_not_count_as_installed(mirror):
    lock = with_loader(mirror, "echo no CPU >&2; exit 3")
    with pytest.raises(EmotiwError, match=r"^the unpacked Caffe does not start: no CPU$"):
        debian.install(lock=lock)
    assert debian.installed(lock) is None


def test_a_caffe_that_cannot_run_usual_scripts_is_not_installed(mirror):
    lock = with_loader(mirror, 'case "$*" in *lmdb*) echo no lmdb >&2; exit 3 ;; esac')
    with pytest.raises(EmotiwError, match=r"^the unpacked pycaffe cannot run the usual scripts: no lmdb$"):
        debian.install(lock=lock)
    assert debian.installed(lock) is None


def test_bytecode_is_written_whatever_the_users_settings(mirror, monkeypatch, tmp_path):
    """Where an install may not be changed, Python would otherwise compile pycaffe at each start."""
    script = f"""cd "${{0%/*}}" && touch pycaffe.py
        exec env -u PYTHONHOME -u PYTHONPATH {sys.executable} -c "import sys; sys.path.insert(0, '.'); import pycaffe"
    """
    lock = with_loader(mirror, script)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    root = debian.install(lock=lock).parents[1] / "root"
    assert list(root.glob("lib/x86_64-linux-gnu/__pycache__/pycaffe.*.pyc"))


def test_what_a_killed_install_left_is_cleared(mirror):
    _, lock, _ = mirror
    target = debian.target(lock)
    left = target.with_name(f".{target.name}.partial") / "root" / "left"
    left.mkdir(parents=True)
    program = debian.install(lock=lock)
    assert not left.exists()
    assert not (program.parents[1] / "root/left").exists()


def test_the_second_of_two_waits_and_finds_it_installed(mirror, capfd):
    _, lock, fetched = mirror
    debian.cache().mkdir(parents=True)
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); "
    first = subprocess.Popen(
        [sys.executable, "-c", hold + "sys.stdin.read()", debian.cache() / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdout.readline() == b"held\n"
    code = (
        "import sys; from pathlib import Path; from emotiw.engine.caffe.install import debian\n"
        "print(debian.install(lock=Path(sys.argv[1])))"
    )
    second = subprocess.Popen(
        [sys.executable, "-c", code, lock], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr.readline() == "another `emotiw caffe install` is running: waiting for it\n"
    program = debian.target(lock) / "bin" / "caffe"  # what the first makes while the second waits
    program.parent.mkdir(parents=True)
    program.touch()
    first.communicate()
    assert second.communicate() == (f"{program}\n", "")
    assert fetched == []


@pytest.mark.parametrize("tool", ["apt-get", "dpkg-deb"])
def test_no_apt_or_dpkg(monkeypatch, tmp_path, tool):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else f"/usr/bin/{name}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EmotiwError, match=f"^{tool} not found"):
        debian.install()


def test_a_full_disk_is_reported_before_anything_is_fetched(mirror, monkeypatch):
    _, lock, fetched = mirror
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100_000_000))
    with pytest.raises(EmotiwError, match=r"the install needs 0\.80 GB and .* has 0\.10 GB free: free some, or set"):
        debian.install(lock=lock)
    assert fetched == []


def test_another_machine_is_refused(monkeypatch):
    monkeypatch.setattr(debian.platform, "machine", lambda: "aarch64")
    with pytest.raises(EmotiwError, match="amd64 only, this is Linux on aarch64"):
        debian.install()
