import os
from collections import Counter

import pytest

from emotiw.data_prep.emotions import EMOTIONS, emotion_named
from emotiw.data_prep.image_list import AmbiguousError, Interpretation
from emotiw.data_prep.layouts.registry import list_images
from emotiw.errors import EmotiwError, UsageError

OF_EMOTIONS = Interpretation("emotions")
OF_PEOPLE = Interpretation("identities")

# Names of the seven in other data sets.
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


def test_emotions_are_matched_by_name_in_any_folders(tmp_path):
    touch(tmp_path, "a/b/happiness/1.png", "a/ANGRY/movie 3/2.JPG", "sad/3.jpeg", "surprised/happy/4.bmp")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert {image.path: (image.label, image.name) for image in listing.images} == {
        "a/b/happiness/1.png": (3, "Happy"),
        "a/ANGRY/movie 3/2.JPG": (0, "Angry"),
        "sad/3.jpeg": (5, "Sad"),
        "surprised/happy/4.bmp": (3, "Happy"),  # the nearest
    }
    assert listing.classes == EMOTIONS


def test_images_of_other_classes_are_counted(tmp_path):
    touch(tmp_path, "sad/1.png", "contempt/1.png", "contempt/2.png", "x/other/1.jpg", "at the top.png")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert [image.path for image in listing.images] == ["sad/1.png"]
    assert listing.unknown_classes == Counter({"contempt": 2, "other": 1, "": 1})


def test_an_identity_is_the_folder_of_the_image(tmp_path):
    touch(tmp_path, "casia/0000102/001.jpg", "casia/0000045/001.jpg", "casia/test/0000045/7.jpg")
    listing = list_images(tmp_path, OF_PEOPLE)
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
        ("Training", "train"),
        ("PublicTest", "val"),
        ("PrivateTest", "test"),
        ("valid", "val"),
        ("dev", "val"),
        ("eval", "test"),
        ("testing", "test"),
        ("trained", ""),
        ("Testament", ""),
        ("faces", ""),
    ],
)
def test_folders_give_the_split(tmp_path, folder, split):
    touch(tmp_path, f"{folder}/Happy/1.png")
    assert [image.split for image in list_images(tmp_path, OF_EMOTIONS).images] == [split]


def test_a_person_called_test_is_not_a_split(tmp_path):
    touch(tmp_path, "Test/1.png", "Test/2.png", "Val Kilmer/1.png")
    assert [image.split for image in list_images(tmp_path, OF_PEOPLE).images] == ["", "", ""]


def test_other_files_are_left_out_and_hidden_files_ignored(tmp_path):
    touch(
        tmp_path, "sad/1.png", "sad/notes.txt", "sad/Thumbs.db", "sad/.1.png", ".git/sad/1.png", "sad/x" * 120 + ".png"
    )
    (tmp_path / "sad" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    listing = list_images(tmp_path, OF_EMOTIONS)
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
    listing = list_images(tmp_path / "source", OF_EMOTIONS)
    assert [image.path for image in listing.images] == ["happy/1.png", "sad/2.png"]


def test_groups_are_found_in_the_path(tmp_path):
    touch(tmp_path, "sad/Airheads_000519240_00000005.png", "happy/subject07.png", "happy/subject07_b.png")
    by_word = {
        image.path: image.group for image in list_images(tmp_path, Interpretation("emotions", r"(\w+?)[_.]")).images
    }
    assert set(by_word.values()) == {"Airheads", "subject07"}
    whole = {
        image.path: image.group
        for image in list_images(tmp_path, Interpretation("emotions", r"[a-z]+/[A-Za-z]+")).images
    }
    assert set(whole.values()) == {"sad/Airheads", "happy/subject"}
    alone = list_images(tmp_path, OF_EMOTIONS).images
    assert [image.group for image in alone] == ["happy/subject07.png", "happy/subject07_b.png", "Airheads"]


def test_errors_name_the_remedy(tmp_path):
    touch(tmp_path, "sad/1.png", "contempt/only/2.png")
    with pytest.raises(EmotiwError, match=r"sad/1\.png does not match --group 'subject': every image needs its group"):
        list_images(tmp_path, Interpretation("emotions", "subject"))
    with pytest.raises(EmotiwError, match="does not match --group"):
        list_images(tmp_path, Interpretation("emotions", "(subject)?.*"))  # matches, and finds no group
    with pytest.raises(UsageError, match=r"^--group '\(' is not a regular expression"):
        list_images(tmp_path, Interpretation("emotions", "("))
    with pytest.raises(EmotiwError, match=r"holds no image in a folder named like an emotion: Angry, .*, Surprise$"):
        list_images(tmp_path / "contempt", OF_EMOTIONS)
    with pytest.raises(EmotiwError, match=r"none: no such file or folder: give the folder that holds <class>/<image>"):
        list_images(tmp_path / "none", OF_EMOTIONS)


def test_a_misspelled_split_causes_a_warning(tmp_path):
    for path in ("train/Sad/1.png", "vla/Sad/2.png", "vla/Happy/3.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert list_images(tmp_path, OF_EMOTIONS).notes == (
        "warning: 2 images, such as vla/Happy/3.png, are in no folder named train, val or test: they train, or "
        "--val draws from them",
    )
    (tmp_path / "vla").rename(tmp_path / "val")
    assert list_images(tmp_path, OF_EMOTIONS).notes == ()
    assert list_images(tmp_path / "train", OF_EMOTIONS).notes == ()


def test_every_suffix_of_a_jpeg_is_read(tmp_path):
    touch(tmp_path, *(f"sad/1.{ending}" for ending in ("jpg", "jpeg", "jpe", "jfif", "JFIF")))
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert (len(listing.images), listing.left_out) == (5, {})


def test_below_a_class_only_the_whole_word_names_a_split(tmp_path):
    touch(tmp_path, "Happy/train/1.png", "Happy/Val_Kilmer/2.png", "Sad/VAL/3.png", "Sad/Test Pilot/4.png")
    images = list_images(tmp_path, OF_EMOTIONS).images
    assert {image.path: (image.split, image.group) for image in images} == {
        "Happy/train/1.png": ("train", "Happy/train/1.png"),
        "Happy/Val_Kilmer/2.png": ("", "Val_Kilmer"),
        "Sad/VAL/3.png": ("val", "Sad/VAL/3.png"),
        "Sad/Test Pilot/4.png": ("", "Test Pilot"),
    }


@pytest.mark.parametrize("test", ["test", "Testing/images", "PrivateTest"])
def test_a_test_folder_without_labels_is_a_test_split(tmp_path, test):
    touch(tmp_path, "train/Happy/1.png", "train/contempt/1.png", f"{test}/2.png", f"{test}/3.png")
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert [(image.path, image.name, image.label, image.split) for image in listing.images if not image.name] == [
        (f"{test}/2.png", "", -1, "test"),
        (f"{test}/3.png", "", -1, "test"),
    ]
    assert listing.unknown_classes == Counter({"contempt": 1})
    assert f"{test}: a test split of 2 images without labels" in listing.notes


def test_a_test_split_with_labels_has_no_unlabelled_images(tmp_path):
    touch(tmp_path, "train/Happy/1.png", "test/Happy/2.png", "test/loose.png")
    assert len(list_images(tmp_path, OF_EMOTIONS).images) == 2
    touch(tmp_path, "b/train/Happy/1.png", "b/test/contempt/2.png")
    listing = list_images(tmp_path / "b", OF_EMOTIONS)
    assert [image.path for image in listing.images] == ["train/Happy/1.png"]
    assert listing.unknown_classes == Counter({"contempt": 1})


def refused(source, how) -> str:
    with pytest.raises(AmbiguousError) as caught:
        list_images(source, how)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 2
    return str(caught.value)


def people(source, level):
    listing = list_images(source, Interpretation("identities", person_level=level))
    return {image.path: (image.name, image.group) for image in listing.images}


def test_people_in_a_higher_folder_need_an_option(tmp_path):
    """Two people each have a folder 0; by the folder of the image they would be one person."""
    touch(tmp_path, *(f"person_{who}/{shot}/{k}.jpg" for who in "ab" for shot in (0, 1) for k in (1, 2)))
    assert refused(tmp_path, OF_PEOPLE) == (
        f"{tmp_path}: several folders hold one named 0; which folder is the person?: 2 people of 8 images, such as "
        "person_a (--person-level 1); 2 people of 8 images, such as 0 (--person-level 2)"
    )
    found = people(tmp_path, 1)
    assert set(found.values()) == {(f"person_{who}", f"person_{who}/{shot}") for who in "ab" for shot in (0, 1)}
    assert {name for name, _ in people(tmp_path, 2).values()} == {"0", "1"}


def test_people_in_every_split_are_the_same_people(tmp_path):
    touch(tmp_path, "train/anna/1.png", "train/bert/2.png", "val/anna/3.png", "Test/bert/4.png")
    images = list_images(tmp_path, OF_PEOPLE).images
    assert {(image.name, image.split) for image in images} == {
        ("anna", "train"),
        ("bert", "train"),
        ("anna", "val"),
        ("bert", "test"),
    }


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (("a/1.png", "b/2.png", "c/3.png"), "each folder holds one image"),
        (("a/1.png", "a/2.png"), "all images lie in a"),
        (("a/1.png", "a/2.png", "a/more/3.png", "b/4.png"), "a/1.png is beside folders of images"),
    ],
)
def test_folders_that_may_not_be_people_need_an_option(tmp_path, paths, why):
    touch(tmp_path, *paths)
    said = refused(tmp_path, OF_PEOPLE)
    assert why in said
    assert "(--person-level 1)" in said
    assert {name for name, _ in people(tmp_path, 1).values()} == {path[0] for path in paths}


def test_a_loose_picture_is_not_a_person(tmp_path):
    touch(tmp_path, "casia/cover.jpg", "casia/1/1.jpg", "casia/1/2.jpg", "casia/2/1.jpg")
    listing = list_images(tmp_path, OF_PEOPLE)
    assert listing.classes == ("1", "2")
    assert listing.left_out == {"casia/cover.jpg": "is beside the folders of people"}
    with pytest.raises(UsageError, match=r"--person-level 0: give 1 for the first folder below the source"):
        people(tmp_path, 0)


def test_folders_that_are_numbers_need_an_order(tmp_path):
    touch(tmp_path, *(f"train/{number}/x.png" for number in range(7)), "train/notes/y.png")
    assert "0 Angry, 1 Disgust, 2 Fear, 3 Happy, 4 Sad, 5 Surprise, 6 Neutral (--order fer2013)" in refused(
        tmp_path, OF_EMOTIONS
    )
    images = list_images(tmp_path, Interpretation("emotions", order="fer2013")).images
    assert [image.name for image in images] == ["Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"]
    assert {image.split for image in images} == {"train"}


def test_names_of_folders_take_precedence_over_numbers(tmp_path):
    touch(tmp_path, "3/Sad/1.png", "4/Happy/2.png")
    assert [image.name for image in list_images(tmp_path, OF_EMOTIONS).images] == ["Sad", "Happy"]
