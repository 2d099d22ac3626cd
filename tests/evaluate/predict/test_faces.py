"""The arguments of `emotiw predict`, and the faces in them."""

import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from emotiw.data_prep.face_detection import find_faces
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.errors import EmotiwError, UsageError
from emotiw.evaluate.predict import faces as module
from emotiw.evaluate.predict.faces import Face, Failure, faces_in, find, pictures


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The first drawn face that OpenCV's cascade detects, (H, W, 3) RGB."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_expressions(folder, 4, 1, seed=0)
    found = [cv2.imread(str(file))[..., ::-1] for file in sorted(folder.rglob("*.png"))]
    return next(rgb for rgb in found if len(find_faces(rgb)) == 1)


@pytest.fixture(scope="module")
def two(drawn):
    """A frame with the face twice, the second time at twice the size."""
    height, width = drawn.shape[:2]
    frame = np.full((2 * height + 80, 3 * width + 120, 3), 190, np.uint8)
    frame[40 : 40 + height, 30 : 30 + width] = drawn
    frame[40 : 40 + 2 * height, 80 + width : 80 + 3 * width] = cv2.resize(drawn, (2 * width, 2 * height))
    return frame


def test_every_face_has_its_box_the_largest_first(two, drawn):
    first, second = find(two, "two.png", detect=True)
    assert (first.number, second.number) == (1, 2)
    middle = 30 + drawn.shape[1] + 25
    assert first.box[0] > middle > second.box[0] + second.box[2]
    assert first.box[2] > 1.6 * second.box[2]
    for face in (first, second):
        x, y, width, height = face.box
        np.testing.assert_array_equal(face.rgb, two[y : y + height, x : x + width])
        assert face.where == f"face {face.number} at ({x}, {y}), {width} x {height}"


def test_an_aligned_face_is_the_whole_picture(two):
    (face,) = find(two, "two.png", detect=False)
    assert face.box is None
    assert face.rgb is two
    assert face.where == "whole picture"


def write(path, rgb):
    cv2.imwrite(str(path), rgb[..., ::-1])
    return str(path)


def test_pictures_without_a_face_are_reported(tmp_path, drawn):
    files = [
        write(tmp_path / "a.png", drawn),
        write(tmp_path / "b.png", np.full((80, 90, 3), 128, np.uint8)),
        str(tmp_path / "c.png"),
        str(tmp_path / "d.gif"),
        write(tmp_path / "e.png", drawn),
        str(tmp_path / "f.png"),
    ]
    (tmp_path / "c.png").write_text("no picture")
    (tmp_path / "d.gif").write_bytes(b"GIF89a" + bytes(20))
    (tmp_path / "f.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    assert pictures([str(tmp_path)]) == files
    found = list(faces_in(files, detect=True))
    assert [type(one) for one in found] == [Face, Failure, Failure, Failure, Face, Failure]
    reasons = [one.reason for one in found if isinstance(one, Failure)]
    assert reasons == [
        "no face found; if it is already a face crop, give --aligned",
        "not an image that OpenCV reads",
        "a GIF, which may hold many pictures: give a JPEG or a PNG",
        "cut off before its end",
    ]


def test_a_picture_that_is_too_large_is_not_unpacked(tmp_path):
    """40,000 x 40,000 pixels of one colour are a PNG of 5 MB at most, and 5 GB in memory."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 40000, 40000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(40001 * 100))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "huge.png").write_bytes(data)
    (one,) = faces_in([str(tmp_path / "huge.png")], detect=False)
    assert isinstance(one, Failure)
    assert one.reason.startswith("more than 33554432 pixels")


def test_standard_input_is_a_picture(tmp_path, drawn, monkeypatch):
    write(tmp_path / "a.png", drawn)
    data = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(module.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert pictures(["-"]) == ["-"]
    (face,) = faces_in(["-"], detect=False)
    np.testing.assert_array_equal(face.rgb, drawn)
    with pytest.raises(UsageError, match="twice"):
        pictures(["-", "-"])


def test_what_is_not_there_is_one_line(tmp_path):
    with pytest.raises(EmotiwError, match="holds no image"):
        pictures([str(tmp_path)])
    with pytest.raises(EmotiwError, match="no such file"):
        pictures([str(tmp_path / "x.png")])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/a.png").touch()
    with pytest.raises(EmotiwError, match="holds no image"):
        pictures([str(tmp_path)])


@pytest.mark.parametrize("named", ["runs/vgg_s-rgb/finetune", "runs"])
def test_the_plots_of_a_run_are_no_faces(tmp_path, named):
    """Without --model, `predict IMAGE RUN` would score the run's curves as pictures."""
    run = tmp_path / "runs/vgg_s-rgb/finetune"
    run.mkdir(parents=True)
    for name in ("curves.png", "run.json"):
        (run / name).touch()
    words = f"{named} has a run's plots, not faces: name a model by --model {run}"
    with pytest.raises(UsageError, match=words):
        pictures(["-", str(tmp_path / named)])


def test_a_folder_of_thousands_is_read_one_at_a_time(tmp_path, drawn):
    file = write(tmp_path / "a.png", drawn)
    asked = []
    stream = faces_in((asked.append(0) or file for _ in range(10_000)), detect=False)
    next(stream)
    assert len(asked) == 1
