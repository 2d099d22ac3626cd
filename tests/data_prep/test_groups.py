"""Groups from names: a movie, a person or a video is never in two splits, whatever the layout of its files."""

import pytest

from emotiw.data_prep.groups import group_in_name, similar_names
from emotiw.data_prep.image_list import Image, Interpretation
from emotiw.data_prep.layouts.registry import list_images
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.transform import Settings

OF_EMOTIONS = Interpretation("emotions")


def touch(source, *paths):
    for path in paths:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(b"")
    return source


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("Airheads_000519240_00000005.png", "Airheads"),
        ("Airheads_000519240_00000005_1.png", "Airheads"),
        ("Airheads_000519240_00000005_aug_flip.png", "Airheads"),
        ("S005_001_00000011.png", "S005"),
        ("S005_001_00000011_copy.jpg", "S005"),
        ("AF01ANS.JPG", "F01"),
        ("BM35AFHL.JPG", "M35"),
        ("KA.AN1.39.tiff", "KA"),
        ("KA.AN1.39_2.tiff", "KA"),
        ("0000045_001.jpg", ""),
        ("image_000001.png", ""),
        ("AF01XXS.JPG", ""),
    ],
)
def test_file_names_of_known_sets_give_the_group(name, group):
    assert group_in_name(f"Happy/{name}") == group


def test_the_movie_is_the_group_in_plain_folders_too(tmp_path):
    names = ("Hangover_000519240_00000005", "Hangover_000519240_00000005_flip", "Juno_000000001_00000001_2")
    touch(tmp_path, *(f"faces/Sad/{name}.png" for name in names))
    listing = list_images(tmp_path, OF_EMOTIONS)
    assert listing.layout == "folders"
    assert [image.group for image in listing.images] == ["Hangover", "Hangover", "Juno"]


def test_a_folder_below_a_class_is_a_group_unless_all_share_it(tmp_path):
    touch(tmp_path, "a/Happy/v1/1.png", "a/Happy/v1/2.png", "a/Sad/v2/deep/1.png", "a/Sad/3.png")
    assert [image.group for image in list_images(tmp_path / "a", OF_EMOTIONS).images] == [
        "v1",
        "v1",
        "Sad/3.png",
        "v2/deep",
    ]
    touch(tmp_path, "b/Happy/images/1.png", "b/Sad/images/1.png")
    assert [image.group for image in list_images(tmp_path / "b", OF_EMOTIONS).images] == [
        "Happy/images/1.png",
        "Sad/images/1.png",
    ]


def test_a_group_folds_case_if_the_pattern_does(tmp_path):
    touch(tmp_path, "Happy/Anna_1.png", "Sad/ANNA_2.png")
    assert {image.group for image in list_images(tmp_path, Interpretation("emotions", r"(?i)(anna)")).images} == {
        "anna"
    }
    assert {image.group for image in list_images(tmp_path, Interpretation("emotions", r"(Anna|ANNA)")).images} == {
        "Anna",
        "ANNA",
    }


def test_similar_names():
    names = ("a_1", "a_2", "b", "b_aug_flip", "c", "d12", "d13", "7", "8")
    assert similar_names([Image(f"Sad/{name}.png", "Sad") for name in names]) == [
        f"Sad/{name}.png" for name in ("a_1", "a_2", "b", "b_aug_flip")
    ]


def test_a_split_without_groups_warns_and_counts_similar_names(tmp_path, draw):
    for number in range(6):
        draw(tmp_path / f"faces/Happy/p{number // 2}_{number}.png", seed=number)
    settings = Settings("emotions", ("rgb",), size=16, val=0.4)
    warning = "warning: --val draws single images, because no group (a person, a movie, a video) is known"
    lines = prepare(tmp_path / "faces", tmp_path / "set", settings).splitlines()
    assert [line for line in lines if "--val" in line] == [
        f"{warning}; 6 names look alike, such as Happy/p0_0.png: give --group"
    ]
    grouped = Settings("emotions", ("rgb",), size=16, val=0.4, group=r"(p\d)")
    assert "--val" not in prepare(tmp_path / "faces", tmp_path / "grouped", grouped)


def test_a_class_without_a_validation_image_causes_a_warning(tmp_path, draw):
    for path in ("train/Happy/1.png", "train/Sad/2.png", "val/Happy/3.png"):
        draw(tmp_path / "faces" / path, seed=int(path[-5]))
    report = prepare(tmp_path / "faces", tmp_path / "set", Settings("emotions", ("rgb",), size=16))
    assert "warning: no validation image of class Sad" in report.splitlines()
