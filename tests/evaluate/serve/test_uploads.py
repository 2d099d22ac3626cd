"""The upload folder: accepted files, free space, folders of killed pages."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emotiw.evaluate.serve.uploads import PREFIX, FullError, Uploads, upload_folder

HOUR = 3600


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def put(path, data=b"mine", age=0.0):
    """Write a file, and its folder; the age is that of its content."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    return path


def test_only_a_regular_file_in_its_own_folder_is_an_upload(tmp_path):
    uploads = Uploads(tmp_path / "uploads")
    own = uploads.folder / ("a" * 64)
    uploads.folder.mkdir()
    face, secret = put(own / "face.png"), put(tmp_path / ("b" * 64) / "secret")
    put(uploads.folder / "tmp123")
    (own / "folder").mkdir()
    (own / "link").symlink_to(face)
    (own / "out").symlink_to(secret)
    (uploads.folder / ("c" * 64)).symlink_to(secret.parent)
    os.mkfifo(own / "fifo")
    assert uploads.holds(str(face))
    wrong = [own / "gone", own / "folder", own / "link", own / "out", own / "fifo", own, uploads.folder, secret]
    wrong += [uploads.folder / "tmp123", uploads.folder / ("c" * 64) / "secret", own / ("x" * 300), "", "face.png"]
    wrong += [f"{own}/../{own.name}/face.png", f"{own}//face.png", f"{own}/./face.png", f"{own}/..", f"{face}\0"]
    wrong += [f"file://{face}", f"{face}/", str(face).replace("face", "\ud800"), "https://example.org/face.png"]
    assert [path for path in wrong if uploads.holds(str(path))] == []


def test_bytes_are_counted_while_they_arrive(tmp_path):
    uploads = Uploads(tmp_path, most=20_000, interval=0)
    put(tmp_path / ("a" * 64) / "face.png", bytes(5000))
    uploads.measure()
    with uploads.arriving() as first:
        first.add(2_000)  # with two folders and the two blocks of a file: 16384
        with pytest.raises(FullError):
            first.add(2_000)
    for number in range(3):
        put(tmp_path / (f"{number}" * 64) / "small.png", b"x")
    uploads.measure()
    with uploads.arriving() as second, pytest.raises(FullError):
        second.add(0)  # many small files take room, too


def test_what_gradio_does_not_delete_is_deleted(tmp_path):
    uploads = Uploads(tmp_path, interval=0)
    partial = put(tmp_path / "tmp1", age=-HOUR)  # it is written to after this upload began
    broken_off = put(tmp_path / "tmp2", age=60)
    kept, forgotten = (
        put(tmp_path / ("a" * 64) / "face.png", age=2 * HOUR),
        put(tmp_path / ("b" * 64) / "x", age=4 * HOUR),
    )
    for name, age in (("c", 120), ("d", 0)):
        (tmp_path / (name * 64)).mkdir()
        os.utime(tmp_path / (name * 64), (time.time() - age,) * 2)
    with uploads.arriving():
        uploads.measure()
        assert set(tmp_path.iterdir()) == {kept.parent, partial, forgotten.parent, tmp_path / ("d" * 64)}
    assert kept.exists()
    assert not broken_off.exists()
    assert not forgotten.exists()


def test_an_upload_that_arrives_keeps_its_file(tmp_path, monkeypatch):
    uploads = Uploads(tmp_path, interval=0)
    with uploads.arriving():
        partial = put(tmp_path / "tmp1")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 300)
        with uploads.arriving():
            uploads.measure()
            assert partial.exists()
    with uploads.arriving():
        uploads.measure()
        assert not partial.exists(), "its upload has broken off"


def test_a_killed_pages_folder_is_removed_at_the_next_start(folder, tmp_path):
    lives = "with upload_folder() as uploads: print(uploads.folder, flush=True); time.sleep(3600)"
    command = [sys.executable, "-c", f"import time; from emotiw.evaluate.serve.uploads import upload_folder\n{lives}"]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True
    ) as page:
        try:
            living = page.stdout.readline().strip()
            put(folder / PREFIX / ("a" * 64), b"left")
            with upload_folder() as uploads:
                assert set(folder.iterdir()) == {uploads.folder, Path(living)}, "it lives"
        finally:
            page.kill()
        page.wait()
    assert [str(path) for path in folder.iterdir()] == [living]
    with upload_folder() as uploads:
        assert list(folder.iterdir()) == [uploads.folder]
    assert list(folder.iterdir()) == []


def test_links_and_files_of_that_name_are_left_alone(folder, tmp_path):
    mine = put(tmp_path / "mine" / "precious")
    (folder / f"{PREFIX}link").symlink_to(mine.parent)
    put(folder / f"{PREFIX}file")
    with upload_folder():
        pass
    assert mine.exists()
    assert len(list(folder.iterdir())) == 2


def test_pages_that_start_at_once_leave_each_other_their_folders(folder):
    def page(_):
        with upload_folder() as uploads:
            put(uploads.folder / "face.png")
            return (uploads.folder / "face.png").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(page, range(200))) == [b"mine"] * 200
    assert list(folder.iterdir()) == []


def test_what_arrives_while_the_folder_is_measured_counts(tmp_path, monkeypatch):
    uploads = Uploads(tmp_path, most=1000, interval=0)

    def clean():
        uploads.add(600)
        return 500

    monkeypatch.setattr(uploads, "_clean", clean)
    uploads.measure()
    with pytest.raises(FullError):
        uploads.add(0)
