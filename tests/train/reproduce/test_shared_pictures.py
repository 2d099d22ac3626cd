"""Pictures that are both pre-trained on and scored are reported by content, before weeks of training."""

import cv2
import numpy as np

from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.transform import Settings
from emotiw.train.reproduce.reproduce import shared_pictures


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8))


def test_a_picture_of_both_sets_is_reported_in_any_format(tmp_path):
    for number in range(4):
        draw(tmp_path / f"people/{'ab'[number % 2]}/{number}.png", number)
        draw(tmp_path / f"faces/train/Happy/{number}.png", 10 + number)
    draw(tmp_path / "faces/train/Sad/9.png", 0)  # a picture in both train splits is not a leak
    draw(tmp_path / "faces/val/Sad/4.png", 20)
    sets = {}
    for name, labels in (("people", "identities"), ("faces", "emotions")):
        prepare(tmp_path / name, tmp_path / f"{name} set", Settings(labels, ("rgb",), size=16))
        sets[name] = open_set(tmp_path / f"{name} set")
    assert list(shared_pictures(sets["people"], sets["faces"])) == []
    draw(tmp_path / "faces/val/Sad/again.bmp", 3)
    draw(tmp_path / "faces/test/1.png", 2)
    prepare(tmp_path / "faces", tmp_path / "leaks", Settings("emotions", ("rgb",), size=16))
    assert list(shared_pictures(sets["people"], open_set(tmp_path / "leaks"))) == [
        f"warning: {tmp_path / 'people set'} has 2 pictures of 2 people to pre-train on that are also scored in "
        f"{tmp_path / 'leaks'}, such as a/2.png, there test/1.png"
    ]
