from collections import Counter, defaultdict

import pytest

from emotiw.data_prep.image_list import Image
from emotiw.data_prep.splits import assign_splits, shuffled
from emotiw.errors import UsageError


def images(groups: int | None = None, split: str = "") -> list[Image]:
    """Return classes of 10, 20 and 30 images; groups span the classes."""
    found = []
    for label, count in enumerate((10, 20, 30)):
        for k in range(count):
            path = f"{label}/{k:02d}.png"
            found.append(Image(path, str(label), label, split, path if groups is None else f"person {k % groups}"))
    return found


def test_without_a_fraction_all_images_train():
    assert {image.split for image in assign_splits(images(), None, 0)} == {"train"}


def test_the_fraction_of_every_class_validates():
    for seed in range(20):
        split = assign_splits(images(), 0.2, seed)
        assert Counter(image.label for image in split if image.split == "val") == {0: 2, 1: 4, 2: 6}
        assert [image.path for image in split] == [image.path for image in images()]


def test_a_seed_determines_the_split():
    assert assign_splits(images(), 0.2, 1) == assign_splits(images(), 0.2, 1)
    assert assign_splits(images(), 0.2, 1) != assign_splits(images(), 0.2, 2)


def test_a_group_is_never_in_two_splits():
    for groups in (2, 5, 7, 29):
        for seed in range(30):
            sides = defaultdict(set)
            for image in assign_splits(images(groups), 0.3, seed):
                sides[image.group].add(image.split)
            assert all(len(found) == 1 for found in sides.values())
            assert sum(found == {"val"} for found in sides.values()) == round(0.3 * groups)


def test_test_images_stay_and_val_is_drawn_from_the_rest():
    mixed = images(split="test")[:10] + images(split="train")[10:30] + images()[30:]
    split = assign_splits(mixed, 0.5, 0)
    assert {image.split for image in split[:10]} == {"test"}
    assert Counter(image.split for image in split[10:30]) == {"train": 10, "val": 10}
    assert Counter(image.split for image in split[30:]) == {"train": 15, "val": 15}
    kept = images(split="val")[:10] + images()[10:]
    assert Counter(image.split for image in assign_splits(kept, None, 0)) == {"val": 10, "train": 50}


def test_an_invalid_fraction_is_a_usage_error():
    for fraction in (0, 1, -0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="is not a fraction: give a number between 0 and 1"):
            assign_splits(images(), fraction, 0)
    with pytest.raises(UsageError, match=r"^--val 0.01 of so few images or groups is none: give a larger fraction$"):
        assign_splits(images(), 0.01, 0)
    with pytest.raises(UsageError, match="the source already has a validation split"):
        assign_splits(images(split="val")[:1] + images()[1:], 0.2, 0)


def test_shuffling_is_seeded_and_loses_nothing():
    order = shuffled(images(), 0)
    assert order == shuffled(images(), 0)
    assert order != shuffled(images(), 1)
    assert order != images()
    assert sorted(order, key=lambda image: image.path) == images()


def test_a_fraction_that_leaves_no_training_images_is_refused():
    with pytest.raises(UsageError, match="all of them: give a smaller fraction"):
        assign_splits(images(groups=2), 0.8, 0)
