"""The calls of apt-get, with a shell script in its place."""

import os

import pytest

from emotiw.engine.caffe.install import apt
from emotiw.engine.caffe.install.lockfile import Package
from emotiw.errors import EmotiwError, UsageError


@pytest.fixture
def fake_apt(tmp_path, monkeypatch):
    """Let a shell script be `apt-get`; it sees its sub-command as $1 (after `-c FILE`, as $3)."""

    def make(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "apt-get").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        monkeypatch.setattr(apt, "KEYRING", folder / "apt-get")
        (tmp_path / "packages").mkdir()
        return tmp_path / "packages"

    return make


INDEX_TARGETS = """[ "$1" = indextargets ] && printf 'http://a.example/debian\\nhttp://b.example/debian/\\n' && exit
[ "$1" = indextargets ] || [ "$1" = update ] && exit 1
"""


def test_sites_are_those_of_the_machine_each_once(fake_apt):
    fake_apt(
        "[ $1 = indextargets ] && printf 'http://a.example/debian\\nhttp://b.example/x/\\nhttp://a.example/debian\\n'"
    )
    assert apt.sites() == ["http://a.example/debian", "http://b.example/x"]


def test_sites_are_known_without_fetched_lists(fake_apt):
    fake_apt(
        """[ "$1 $2" = 'update --print-uris' ] || exit 0
        echo "'http://a.example/debian/dists/bookworm/InRelease' name 0 "
        echo "'http://a.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' name 0 " """
    )
    assert apt.sites() == ["http://a.example/debian"]


def test_every_site_is_tried_until_one_serves(fake_apt, tmp_path):
    folder = fake_apt(
        INDEX_TARGETS
        + f"""grep -q b.example {tmp_path}/apt/sources.list || {{ echo 'E: no Release file' >&2; exit 100; }}
        [ "$3" = download ] || exit 0
        shift 3; echo "$@" > one.deb; echo "$LC_ALL" > two.deb"""
    )
    apt.fetch([Package("caffe", "1:1.0-8+b2", "0" * 64), Package("dpkg", "1.2", "0" * 64)], folder)
    assert (folder / "one.deb").read_text() == "caffe=1:1.0-8+b2 dpkg=1.2\n"
    assert (folder / "two.deb").read_text() == "C\n"
    assert not (tmp_path / "apt").exists()


def test_if_no_site_works_the_error_names_the_flag(fake_apt):
    folder = fake_apt(INDEX_TARGETS + "echo 'E: no Release file' >&2; exit 100")
    with pytest.raises(EmotiwError, match=r"a\.example/debian \(no Release file\); .*b\.example.*give --mirror URL"):
        apt.fetch([], folder)


def test_if_no_site_is_known_the_error_names_the_flag(fake_apt):
    with pytest.raises(EmotiwError, match="names no mirror: give --mirror URL"):
        apt.fetch([], fake_apt("exit 0"))


@pytest.mark.parametrize("mirror", ["example.org/debian", "https://x y", "http://x [trusted=yes]", "http://x/\ndeb y"])
def test_an_invalid_mirror_address_is_a_usage_error(fake_apt, mirror):
    with pytest.raises(UsageError, match="not an address"):
        apt.fetch([], fake_apt("exit 0"), mirror)


def test_no_debian_keyring(monkeypatch, tmp_path):
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(EmotiwError, match="install the package debian-archive-keyring"):
        apt.fetch([], tmp_path / "packages")
