"""Pictures of equal pixels are found in any files, and a drawn split keeps them together."""

import hashlib
import json
import shutil
import struct
from collections import defaultdict

import cv2
import numpy as np
import pytest

from emotiw.data_prep.image_list import Image
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import UNKNOWN, open_set
from emotiw.data_prep.same_pixels import conflicts, drop, pixel_digest
from emotiw.data_prep.splits import assign_splits
from emotiw.data_prep.transform import Settings

RGB = Settings("emotions", ("rgb",), size=16)


def rows(folder):
    return {row["path"]: row for row in open_set(folder).manifest}


def test_the_digest_by_hand():
    """Height and width as uint32, then the values: 1 x 2 pixels differ from 2 x 1."""
    values = bytes(range(6))
    wide, high = (np.frombuffer(values, np.uint8).reshape(shape) for shape in ((1, 2, 3), (2, 1, 3)))
    assert pixel_digest(wide) == hashlib.sha256(struct.pack("<II", 1, 2) + values).hexdigest()
    assert pixel_digest(high) == hashlib.sha256(struct.pack("<II", 2, 1) + values).hexdigest()
    assert pixel_digest(wide[:, ::-1]) == pixel_digest(wide[:, ::-1].copy()) != pixel_digest(wide)


def test_equal_pixels_do_not_depend_on_containers_or_names(tmp_path, draw):
    png = draw(tmp_path / "faces/train/Happy/a.png")
    (tmp_path / "faces/val/Happy").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "faces/val/Happy/b.bmp"), cv2.imread(str(png)))
    draw(tmp_path / "faces/val/Happy/a.png", seed=1)
    report = prepare(tmp_path / "faces", tmp_path / "set", RGB)
    assert "warning: the same picture on two sides of the split: train/Happy/a.png, val/Happy/b.bmp" in report
    found = rows(tmp_path / "set")
    assert found["train/Happy/a.png"]["pixels"] == found["val/Happy/b.bmp"]["pixels"]
    assert found["train/Happy/a.png"]["sha256"] != found["val/Happy/b.bmp"]["sha256"]
    assert {path: row["same_pixels"] for path, row in found.items()} == {
        "train/Happy/a.png": "split",
        "val/Happy/a.png": "",
        "val/Happy/b.bmp": "split",
    }


@pytest.mark.parametrize("group", [None, r"([a-z])\d"])
def test_a_drawn_split_keeps_equal_pixels_together(tmp_path, draw, group):
    for number in range(20):
        first = draw(
            tmp_path / f"faces/{('Happy', 'Sad')[number % 2]}/{'abcdefghij'[number % 10]}{number}.png", seed=number
        )
        if number % 7 == 0:
            shutil.copy(first, first.with_name(f"{'abcde'[number % 4]}{number + 100}.png"))
    for seed in range(8):
        prepare(
            tmp_path / "faces",
            tmp_path / f"{seed}",
            Settings("emotions", ("rgb",), 16, val=0.4, group=group, seed=seed),
        )
        for column in ("pixels", "group") if group else ("pixels",):
            sides = defaultdict(set)
            for row in rows(tmp_path / f"{seed}").values():
                sides[row[column]].add(row["split"])
            assert all(len(found) == 1 for found in sides.values()), column


def test_without_equal_pixels_the_draw_does_not_change():
    images = [Image(f"{k}", str(k % 3), k % 3, group=f"{k}") for k in range(60)]
    pixels = {image.path: f"digest {image.path}" for image in images}
    assert assign_splits(images, 0.3, 5, pixels) == assign_splits(images, 0.3, 5)


def test_official_splits_stay_and_conflicts_are_counted_once(tmp_path, draw):
    for number in range(4):
        picture = draw(tmp_path / f"faces/train/Happy/{number}.png", seed=number)
        (tmp_path / "faces/test/Sad").mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / f"faces/test/Sad/copy{number}.png")
    draw(tmp_path / "faces/train/Sad/x.png", seed=9)
    lines = prepare(tmp_path / "faces", tmp_path / "set", RGB).splitlines()
    where = tmp_path / "set/report.txt"
    (split,) = (line for line in lines if "sides of the split" in line)
    assert split == (
        "warning: 4 pictures are on two sides of the split, such as: the same picture on two sides of the split: "
        f"test/Sad/copy0.png, train/Happy/0.png; {where} lists all"
    )
    assert where.read_text().count("warning: the same picture under two labels: ") == 4
    found = rows(tmp_path / "set")
    assert [found[path]["same_pixels"] for path in ("train/Happy/0.png", "test/Sad/copy3.png", "train/Sad/x.png")] == [
        "split label",
        "split label",
        "",
    ]
    assert {row["split"] for path, row in found.items() if path.startswith("test")} == {"test"}


def test_drop_removes_only_training_images(tmp_path, draw):
    first = draw(tmp_path / "faces/train/Happy/a.png")
    (tmp_path / "faces/val/Happy").mkdir(parents=True)
    shutil.copy(first, tmp_path / "faces/val/Happy/b.png")
    second = draw(tmp_path / "faces/train/Happy/c.png", seed=1)
    (tmp_path / "faces/train/Sad").mkdir()
    shutil.copy(second, tmp_path / "faces/train/Sad/d.png")
    draw(tmp_path / "faces/train/Sad/e.png", seed=2)
    settings = Settings("emotions", ("rgb",), size=16, same_pixels="drop")
    report = prepare(tmp_path / "faces", tmp_path / "set", settings).splitlines()
    assert set(rows(tmp_path / "set")) == {"train/Sad/e.png", "val/Happy/b.png"}
    assert "  train/Happy/a.png: the same pixels are in another split (--same-pixels drop)" in report
    assert "  train/Happy/c.png: the same pixels are under another label (--same-pixels drop)" in report


def test_conflicts_by_hand():
    images = [Image("1", "Sad", 5, "train"), Image("2", "Sad", 5, "val"), Image("3", "Fear", 2, "train")]
    assert conflicts(images, {"1": "x", "2": "x", "3": "y"}) == {"1": ["split"], "2": ["split"]}
    assert conflicts(images, {"1": "x", "3": "x"}) == {"1": ["label"], "3": ["label"]}
    assert conflicts(images, {"1": "", "2": "", "3": ""}) == {}  # unreadable ones are not equal
    unlabelled = [Image("1", "Sad", 5, "train"), Image("2", "", -1, "train")]
    assert conflicts(unlabelled, {"1": "x", "2": "x"}) == {}
    kept, dropped = drop(images, {"1": "x", "2": "x", "3": "y"})
    assert [image.path for image in kept] == ["2", "3"]
    assert list(dropped) == ["1"]


def test_the_pixels_of_an_older_set_are_unknown(tmp_path, draw):
    draw(tmp_path / "faces/Happy/a.png")
    prepare(tmp_path / "faces", tmp_path / "set", RGB)
    manifest = tmp_path / "set/manifest.csv"
    older = "".join(f"{line.rsplit(',', 2)[0]}\n" for line in manifest.read_text().splitlines())
    settings = json.loads((tmp_path / "set/set.json").read_text())
    manifest.write_text(older)
    settings["manifest_sha256"] = hashlib.sha256(older.encode()).hexdigest()
    for name in ("inputs", "seal"):
        del settings[name]
    (tmp_path / "set/set.json").write_text(json.dumps(settings))
    (row,) = open_set(tmp_path / "set").manifest
    assert (row["pixels"], row["same_pixels"]) == (UNKNOWN, UNKNOWN)
