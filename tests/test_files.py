"""Locks, digests and stamps of files; the verbs' tests check that outputs are complete or absent."""

import os
import threading
import time

import pytest

from emotiw.errors import EmotiwError
from emotiw.files import (
    alone,
    file_digest,
    file_stamp,
    refuse_overwrite,
    sha256_of,
    take_lock,
    whole_new,
    write_text,
)


def test_another_is_refused_or_waits(tmp_path):
    order = []

    def other():
        with alone(tmp_path / "it"):
            order.append("the other")

    waiting = threading.Thread(target=other)
    with alone(tmp_path / "it", "busy"):
        with pytest.raises(EmotiwError, match=r"^busy$"), alone(tmp_path / "it", "busy"):
            pass
        waiting.start()
        time.sleep(0.1)
        order.append("the first")
    waiting.join()
    assert order == ["the first", "the other"]


def test_a_folder_that_appears_while_a_new_one_is_written_stays(tmp_path):
    place = tmp_path / "set"

    def draw():
        with whole_new(place) as temporary:
            temporary.mkdir()
            place.mkdir()
            (place / "own.txt").write_text("own")

    with pytest.raises(EmotiwError, match="exists already"):
        draw()
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "own.txt"]


@pytest.mark.parametrize("force", [False, True])
def test_a_file_never_replaces_a_folder(tmp_path, force):
    place = tmp_path / "table.md"
    place.mkdir()
    (place / "own.txt").write_text("own")
    words = f"{place} is not a file, so it is not replaced: remove it, or name another output"
    with pytest.raises(EmotiwError) as caught:
        refuse_overwrite(place, force)
    assert str(caught.value) == words
    with pytest.raises(IsADirectoryError):
        write_text(place, "# A table")
    assert [path.name for path in tmp_path.rglob("*")] == ["table.md", "own.txt"]


def test_a_lock_is_held_until_its_file_is_closed(tmp_path):
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert take_lock(first.fileno())
        assert not take_lock(second.fileno(), wait=False)
        first.close()
        assert take_lock(second.fileno(), wait=False)


def test_digests_are_those_of_the_standard(tmp_path):
    """The SHA-256 and MD5 of "abc", as FIPS 180-2 and RFC 1321 give them."""
    (tmp_path / "abc").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(b"abc") == file_digest(tmp_path / "abc") == sha256
    assert file_digest(tmp_path / "abc", "md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_a_changed_file_has_another_stamp(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"123")
    link.symlink_to(path)
    os.utime(path, ns=(5, 7))
    assert file_stamp(path) == file_stamp(str(path)) == file_stamp(link) == (3, 7)
    path.write_bytes(b"1234")
    os.utime(path, ns=(5, 7))
    assert file_stamp(path) == (4, 7)
    os.utime(path, ns=(5, 8))
    assert file_stamp(path) == (4, 8)
    with pytest.raises(FileNotFoundError):
        file_stamp(tmp_path / "none")
