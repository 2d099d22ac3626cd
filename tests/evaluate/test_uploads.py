"""The upload folder: what counts as an upload."""

import os

from emotiw.evaluate.uploads import Uploads


def put(path):
    """Write a file, and its folder."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"mine")
    return path


def test_only_a_regular_file_in_a_folder_of_its_own_is_an_upload(tmp_path):
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
