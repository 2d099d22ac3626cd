"""Data sets are identified, and drawn images are detected."""

import io
import json

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.datasets import DATASETS, is_drawn, mark_as_drawn, recognised, spelled
from emotiw.data_prep.images import decode
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.archives import as_sfew, as_sfew_zips
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.errors import UsageError

SFEW, FER = {"train": 891, "val": 431, "test": 372}, {"train": 28_709, "val": 3_589, "test": 3_589}


@pytest.mark.parametrize(
    ("layout", "counts", "name"),
    [
        ("sfew", SFEW, "SFEW 2.0"),
        ("sfew-csv", SFEW, "SFEW 2.0"),
        ("sfew", {"train": 958, "val": 436, "test": 372}, "SFEW 2.0"),  # whole frames
        ("sfew", {"train": 891, "val": 431}, "SFEW 2.0"),
        ("sfew", SFEW | {"train": 870}, "SFEW 2.0"),  # some left out of training
        ("fer2013", FER, "FER2013"),
        ("folders", FER, "FER2013"),
        ("sfew", SFEW | {"val": 427}, ""),
        ("sfew", SFEW | {"test": 371}, ""),
        ("sfew", {"train": 891}, ""),
        ("sfew", {"val": 431}, ""),
        ("folders", SFEW, ""),
        ("fer2013", SFEW, ""),
        ("fer2013", FER | {"train": 25_838, "val": 2_871}, ""),
        ("", SFEW, ""),  # the oldest sets do not record their layout
    ],
)
def test_a_data_set_is_known_by_its_layout_and_its_numbers(layout, counts, name):
    assert recognised(layout, counts) == name


def test_a_name_is_spelled_like_the_published_figures():
    assert [spelled(name) for name in ("SFEW 2.0", "sfew-2.0", " SFEW_2.0", "fer 2013", "Fer2013")] == [
        *["SFEW 2.0"] * 3,
        *["FER2013"] * 2,
    ]
    assert spelled("  my   own faces ") == "my own faces"
    for bad in ("", "  ", "a\x00b", "a\x1bb", "x" * 61):
        with pytest.raises(UsageError, match="--dataset"):
            spelled(bad)
    assert {known.name for known in DATASETS} == {"SFEW 2.0", "FER2013"}


def test_a_jpeg_is_marked_too():
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    marked = mark_as_drawn(jpeg)
    assert is_drawn(marked)
    assert not is_drawn(jpeg)
    np.testing.assert_array_equal(decode(marked), decode(jpeg))
    from PIL import Image

    with Image.open(io.BytesIO(marked)) as opened:  # another reader of JPEG
        assert opened.info["comment"] == b"drawn by emotiw"


def test_marking_as_drawn_does_not_change_the_picture(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    png = cv2.imencode(".png", picture)[1].tobytes()
    marked = mark_as_drawn(png)
    assert is_drawn(marked)
    assert not is_drawn(png)
    assert not is_drawn(b"")
    assert not is_drawn(cv2.imencode(".jpg", picture)[1].tobytes())
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_COLOR), picture)
    from PIL import Image

    (tmp_path / "drawn.png").write_bytes(marked)
    with Image.open(tmp_path / "drawn.png") as opened:  # another reader of PNG, which checks the chunk's sum
        opened.load()
        assert opened.info["Source"] == "drawn by emotiw"


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    draw_expressions(folder / "faces", 8, 1, seed=0)
    as_sfew(folder / "faces", folder / "sfew")
    as_sfew_zips(folder / "faces", folder / "zips")
    return folder


def prepared(source, place, *more):
    command = ["prepare", source, "-o", place, "--labels", "emotions", "--size", "16", "-r", "rgb", *more]
    return main([str(word) for word in command])


@pytest.mark.parametrize("source", ["faces", "sfew", "zips"])
def test_drawn_faces_are_detected_in_every_layout(faces, tmp_path, source):
    assert prepared(faces / source, tmp_path / "set", *(["--val", "0.5"] if source == "faces" else [])) == 0
    made = open_set(tmp_path / "set")
    assert (made.facts.drawn, made.dataset) == (True, "")


def test_a_user_names_a_data_set_and_older_sets_have_no_name(faces, tmp_path):
    assert prepared(faces / "sfew", tmp_path / "set", "--dataset", "sfew 2.0") == 0
    made = open_set(tmp_path / "set")
    assert (made.dataset, made.facts.drawn) == ("SFEW 2.0", True)
    facts = json.loads((tmp_path / "set/set.json").read_text())
    (tmp_path / "set/set.json").write_text(
        json.dumps({k: v for k, v in facts.items() if k not in ("dataset", "drawn", "seal")})
    )
    older = open_set(tmp_path / "set")
    assert (older.dataset, older.facts.drawn, older.digest) == ("", False, made.digest)


def test_a_set_of_an_older_version_is_known_by_its_layout(faces, tmp_path, monkeypatch):
    assert prepared(faces / "sfew", tmp_path / "set") == 0
    facts = json.loads((tmp_path / "set/set.json").read_text())
    (tmp_path / "set/set.json").write_text(
        json.dumps({k: v for k, v in facts.items() if k not in ("dataset", "drawn", "seal")})
    )
    whole = {"train": 28, "val": 14, "test": 14}
    monkeypatch.setattr("emotiw.data_prep.datasets.DATASETS", [type(DATASETS[0])("Small", ("sfew",), (whole,))])
    assert open_set(tmp_path / "set").dataset == "Small"


def test_a_name_that_the_source_contradicts_is_refused(faces, tmp_path, capsys, monkeypatch):
    whole = {"train": 28, "val": 14, "test": 14}
    monkeypatch.setattr("emotiw.data_prep.datasets.DATASETS", [type(DATASETS[0])("Small", ("sfew",), (whole,))])
    assert prepared(faces / "sfew", tmp_path / "set", "--dataset", "Another") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--dataset Another: {faces / 'sfew'} is Small by its layout and its numbers of images" in line
    assert not (tmp_path / "set").exists()
    assert prepared(faces / "sfew", tmp_path / "set", "--dataset", "small") == 0
    assert prepared(faces / "sfew", tmp_path / "other", "--dataset", "\t") == 2


def test_a_set_knows_the_groups_of_its_images(faces, tmp_path):
    assert prepared(faces / "sfew", tmp_path / "movies") == 0
    movies = open_set(tmp_path / "movies").group_of
    assert len(movies) == 56
    assert len(set(movies.values())) == 8
    assert all(path.rpartition("/")[2].startswith(f"{movie}_") for path, movie in movies.items())
    assert prepared(faces / "faces", tmp_path / "single", "--val", "0.5") == 0
    assert open_set(tmp_path / "single").group_of == {}  # each image is a group of its own: none is known
