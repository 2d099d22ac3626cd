import os
from collections import Counter

import pytest

from emotiw.data_prep.emotions import EMOTIONS, emotion_named
from emotiw.data_prep.layouts.registry import list_images
from emotiw.errors import EmotiwError, UsageError

# Names under which other sets hold the seven.
NAMES = {
    "Angry": ["anger", "angry", "ANGER", "0_angry", "05 - Anger"],
    "Disgust": ["disgust", "disgusted", "disguist", "1_disguist"],
    "Fear": ["fear", "fearful", "afraid", "1.Fear"],
    "Happy": ["happiness", "happy", "Happy ", "joy", "3-happy", "3) Joy"],
    "Neutral": ["neutral", "normal", "4 neutral"],
    "Sad": ["sad", "sadness"],
    "Surprise": ["surprise", "surprised", "Surprise", "suprise", "6__Surprised"],
}


def touch(source, *paths):
    for path in paths:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(b"")
    return source


def test_the_authors_order():
    assert EMOTIONS == ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


def test_every_name_means_its_emotion():
    assert {name: [emotion_named(alias) for alias in aliases] for name, aliases in NAMES.items()} == {
        name: [name] * len(aliases) for name, aliases in NAMES.items()
    }
    others = ("contempt", "other", "0", "", "0_", "7_contempt", "0angry", "_angry", "angry_0", "1_2_angry", "0_0")
    assert [emotion_named(name) for name in others] == [None] * len(others)


def test_emotions_are_matched_by_name_under_any_wrapping(tmp_path):
    touch(tmp_path, "a/b/happiness/1.png", "a/ANGRY/movie 3/2.JPG", "sad/3.jpeg", "surprised/happy/4.bmp")
    listing = list_images(tmp_path, "emotions")
    assert {image.path: (image.label, image.name) for image in listing.images} == {
        "a/b/happiness/1.png": (3, "Happy"),
        "a/ANGRY/movie 3/2.JPG": (0, "Angry"),
        "sad/3.jpeg": (5, "Sad"),
        "surprised/happy/4.bmp": (3, "Happy"),  # the nearest
    }
    assert listing.classes == EMOTIONS


def test_what_is_none_of_the_seven_is_counted(tmp_path):
    touch(tmp_path, "sad/1.png", "contempt/1.png", "contempt/2.png", "x/other/1.jpg", "at the top.png")
    listing = list_images(tmp_path, "emotions")
    assert [image.path for image in listing.images] == ["sad/1.png"]
    assert listing.unknown_classes == Counter({"contempt": 2, "other": 1, "": 1})


def test_an_identity_is_the_folder_it_lies_in(tmp_path):
    touch(tmp_path, "CASIA-maxpy-clean/0000102/001.jpg", "CASIA-maxpy-clean/0000045/001.jpg", "test/0000045/7.jpg")
    listing = list_images(tmp_path, "identities")
    assert listing.classes == ("0000045", "0000102")
    assert [(image.name, image.label, image.split) for image in listing.images] == [
        ("0000045", 0, ""),
        ("0000102", 1, ""),
        ("0000045", 0, "test"),
    ]


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("Train/Train_Aligned_Faces", "train"),
        ("images/Train_Aligned_Faces", "train"),
        ("Val_Aligned_Faces_new/Val_Aligned_Faces", "val"),
        ("Val/Val", "val"),
        ("validation", "val"),
        ("TEST", "test"),
        ("training set", "train"),
        ("trained", ""),
        ("Testament", ""),
        ("faces", ""),
    ],
)
def test_folders_say_the_split(tmp_path, folder, split):
    touch(tmp_path, f"{folder}/Happy/1.png")
    assert [image.split for image in list_images(tmp_path, "emotions").images] == [split]


def test_a_person_called_test_is_no_split(tmp_path):
    touch(tmp_path, "Test/1.png", "Val Kilmer/1.png")
    assert [image.split for image in list_images(tmp_path, "identities").images] == ["", ""]


def test_what_is_no_image_by_its_name_is_left_out_and_hidden_files_are_not_seen(tmp_path):
    touch(
        tmp_path, "sad/1.png", "sad/notes.txt", "sad/Thumbs.db", "sad/.1.png", ".git/sad/1.png", "sad/x" * 120 + ".png"
    )
    (tmp_path / "sad" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    listing = list_images(tmp_path, "emotions")
    assert [image.path for image in listing.images] == ["sad/1.png"]
    assert listing.left_out == {
        "sad/notes.txt": "not the name of an image",
        "sad/Thumbs.db": "not the name of an image",
        "sad/\N{REPLACEMENT CHARACTER}.png": "its name is not UTF-8",
        "sad/x" * 120 + ".png": "its path is longer than 502 bytes",
    }


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "source/sad/2.png")
    (tmp_path / "source/happy").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source/sad/loop").symlink_to(tmp_path / "source")
    listing = list_images(tmp_path / "source", "emotions")
    assert [image.path for image in listing.images] == ["happy/1.png", "sad/2.png"]


def test_groups_are_found_in_the_path(tmp_path):
    touch(tmp_path, "sad/Airheads_000519240_00000005.png", "happy/subject07.png", "happy/subject07_b.png")
    by_word = {image.path: image.group for image in list_images(tmp_path, "emotions", r"(\w+?)[_.]").images}
    assert set(by_word.values()) == {"Airheads", "subject07"}
    whole = {image.path: image.group for image in list_images(tmp_path, "emotions", r"[a-z]+/[A-Za-z]+").images}
    assert set(whole.values()) == {"sad/Airheads", "happy/subject"}
    alone = list_images(tmp_path, "emotions").images
    assert {image.group for image in alone} == {image.path for image in alone}


def test_errors_say_what_mends_them(tmp_path):
    touch(tmp_path, "sad/1.png", "contempt/only/2.png")
    with pytest.raises(EmotiwError, match=r"sad/1\.png does not match --group 'subject': every image needs its group"):
        list_images(tmp_path, "emotions", "subject")
    with pytest.raises(EmotiwError, match="does not match --group"):
        list_images(tmp_path, "emotions", "(subject)?.*")  # matches, and finds no group
    with pytest.raises(UsageError, match=r"^--group '\(' is no regular expression"):
        list_images(tmp_path, "emotions", "(")
    with pytest.raises(EmotiwError, match=r"holds no image in a folder named like an emotion: Angry, .*, Surprise$"):
        list_images(tmp_path / "contempt", "emotions")
    with pytest.raises(EmotiwError, match=r"none is no folder: give the folder that holds <class>/<image>"):
        list_images(tmp_path / "none", "emotions")


def test_a_split_that_is_misspelled_is_told(tmp_path):
    for path in ("train/Sad/1.png", "vla/Sad/2.png", "vla/Happy/3.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert list_images(tmp_path, "emotions").notes == (
        "warning: 2 images, such as vla/Happy/3.png, lie in no folder named train, val or test: they train, or are "
        "drawn from by --val",
    )
    (tmp_path / "vla").rename(tmp_path / "val")
    assert list_images(tmp_path, "emotions").notes == ()
    assert list_images(tmp_path / "train", "emotions").notes == ()


def test_every_ending_of_a_jpeg_is_one(tmp_path):
    touch(tmp_path, *(f"sad/1.{ending}" for ending in ("jpg", "jpeg", "jpe", "jfif", "JFIF")))
    listing = list_images(tmp_path, "emotions")
    assert (len(listing.images), listing.left_out) == (5, {})
