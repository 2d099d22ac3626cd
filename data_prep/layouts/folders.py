"""Layout `folders`: `<class>/<image>` in any folders, such as CASIA-WebFace's `<7-digit id>/<nnn>.jpg`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from emotiw.data_prep.archives.tree import Found, folder_of
from emotiw.data_prep.class_list import ClassList
from emotiw.data_prep.emotions import emotion_named
from emotiw.data_prep.image_list import (
    AmbiguousError,
    Basis,
    Image,
    Interpretation,
    Listing,
    Reading,
    printable,
    split_meant,
    split_named,
    split_of,
    unusable,
    word_named,
    word_of,
)
from emotiw.data_prep.label_order import LabelOrder, label_order, number_in, which_order
from emotiw.errors import UsageError

from .class_folders import classes_of_folders
from .fer2013 import FILE_NAME

_MOST_NAMED = 6  # folders in a line
_KINDS = {"emotions": "named like an emotion", "classes": "named like a class"}
# Names of folders of labelled images that are not of the seven emotions.
_OTHER_CLASSES = frozenset(("contempt", "contemptuous", "other", "others", "unknown", "none", "nf", "uncertain"))


def list_folders(found: Found, how: Interpretation) -> Listing:
    """List the images of a tree of folders.

    A folder above an image's class gives its split if its name begins with the word train, val or test, or another word
    for these. Below the class only the whole word does, because a person may be called Val Kilmer.

    For emotions, and for classes with names that are given, an image's class is the nearest folder above it that is
    named like one of them, and its group is the folders between (a person, a video). Folders that are numbers need an
    order. Images under other names are left out and counted, except in a test split without labels. For classes without
    given names, see `class_folders`. For identities, the class is the folder that contains the image, or the one at
    `how.person_level`, and the folders below that (a video) are its group.

    Raises
    ------
    AmbiguousError
        If folders are numbers and no order is given, or several levels of folders may be the people or the classes.
    """
    left_out = {printable(name): reason for name in found.files if (reason := unusable(name))}
    usable = [name for name in found.files if not unusable(name)]
    if how.labels == "identities":
        images, loose = _people(found, usable, how.person_level)
        which = (
            "the folder that contains the image" if how.person_level is None else f"--person-level {how.person_level}"
        )
        basis = Basis(f"{which}, one person each", splits=_split_folders(usable))
        return Listing(images, found.tree, left_out | loose, notes=tuple(_notes(images)), basis=basis)
    classes = how.classes if how.classes.names else classes_of_folders(found, usable, how)
    order = _order(found, usable, how.order, classes)
    listed = {name: _labelled(name, order, classes) for name in usable}
    images = [image for image in listed.values() if image]
    nameless = [name for name, image in listed.items() if not image]
    test = _unlabelled_test(images, nameless)
    unknown = Counter(folder_of(name).name for name in nameless if name not in {*test})
    if len({image.group for image in images} - {""}) == 1:  # one folder wraps all images
        images = [replace(image, group="") for image in images]
    images += [_unlabelled(name) for name in test]
    notes = [] if how.splits else [*_notes(images)]
    images, splits, warnings = _by_file_names(images, how)
    notes += warnings
    if test and not how.splits:
        notes.append(f"{folder_of(test[0])}: a test split of {len(test)} images without labels")
    images.sort(key=lambda image: image.path)
    kind = "that are numbers" if order else _KINDS[how.labels]
    example = next((f", such as {folder_of(image.path)}" for image in images if image.name), "")
    splits = "; ".join(filter(None, (_split_folders(usable), splits)))
    basis = Basis(f"folders {kind}{example}", splits=splits)
    return Listing(images, found.tree, left_out, unknown, tuple(notes), order=str(order or ""), basis=basis)


def _split_folders(names: Iterable[str]) -> str:
    """Return the names of the folders that may name a split, in words."""
    folders = {folder_of(name) for name in names}
    named = sorted({part for folder in folders for part in folder.parts if split_of((part,))})
    more = ", ..." if len(named) > _MOST_NAMED else ""
    return f"folders named {', '.join(named[:_MOST_NAMED])}{more}" if named else ""


def _people(found: Found, names: Sequence[str], level: int | None) -> tuple[list[Image], dict[str, str]]:
    """Return the images of people, and the reason for each image that has no person."""
    if level is not None:
        if level < 1:
            raise UsageError(f"--person-level {level}: give 1 for the first folder below the source, or more")
        reason = f"is not in a folder of level {level}"
        loose = {name: reason for name in names if len(folder_of(name).parts) < level}
        return [_person(name, level) for name in names if name not in loose], loose
    inner = {above for folder in {folder_of(name) for name in names} for above in folder.parents}
    beside = inner & {found.top, PurePosixPath()}
    loose = {
        name: "is beside the folders of people"
        for name in names
        if folder_of(name) in beside or not folder_of(name).name
    }
    kept = [name for name in names if name not in loose]
    _require_one_reading(found, kept, inner)
    return [_person(name, len(folder_of(name).parts)) for name in kept], loose


def _person(name: str, level: int) -> Image:
    """Return the image, with the folder at `level` as its person."""
    folders = folder_of(name).parts
    person, below = folders[level - 1], [folder for folder in folders[level:] if not split_named((folder,))]
    word = word_of(folders[: level - 1]) or word_named(folders[level:])
    group = "/".join([person, *below]) if below else ""
    return Image(name, person, split=split_meant(word), group=group, official=word)


def _require_one_reading(found: Found, names: Sequence[str], inner: set[PurePosixPath]) -> None:
    """Raise `AmbiguousError` if the folder that contains an image may not be the person."""
    parents: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for name in names:
        *above, folder = folder_of(name).parts
        parents[folder].add(tuple(part for part in above if not split_of((part,))))
    several = next((folder for folder, above in sorted(parents.items()) if len(above) > 1), "")
    mixed = next((name for name in names if folder_of(name) in inner), "")
    counts = Counter(folder_of(name).name for name in names)
    if several:
        why = f"several folders hold one named {several}"
    elif mixed:
        why = f"{mixed} is beside folders of images"
    elif len(counts) == 1:
        why = f"all images lie in {names[0].rpartition('/')[0]}"
    elif counts and max(counts.values()) == 1:
        why = "each folder holds one image"
    else:
        return
    readings = list(_levels(names))
    if len(readings) == 1:
        raise AmbiguousError(f"{found.place}: {why}, so the folder may not be the person; if it is", readings)
    raise AmbiguousError(f"{found.place}: {why}; which folder is the person?", readings)


def _levels(names: Sequence[str]) -> Iterator[Reading]:
    """Yield the reading with each level of folders as people."""
    deepest = max(len(folder_of(name).parts) for name in names)
    for level in range(1, deepest + 1):
        people = Counter(parts[level - 1] for name in names if len(parts := folder_of(name).parts) >= level)
        words = f"{len(people)} people of {people.total()} images, such as {min(people)}"
        yield Reading(words, f"--person-level {level}")


def _order(found: Found, names: Iterable[str], order: str | None, classes: ClassList) -> LabelOrder | None:
    """Return the order of folders that are numbers; None if folders have names."""
    known = label_order(order, classes) if order else None
    folders = {folder_of(name) for name in names}
    if known or any(classes.named(part) for folder in folders for part in folder.parts):
        return known
    numbers = {number for folder in folders for number in map(number_in, folder.parts[-1:]) if number is not None}
    if len(numbers) > 1:
        raise which_order(f"{found.place}, folders {min(numbers)} to {max(numbers)}", numbers)
    return None


def _labelled(name: str, order: LabelOrder | None, classes: ClassList) -> Image | None:
    folders = folder_of(name).parts
    at, label = class_at(folders, classes.named), None
    if at is not None:
        label = classes.named(folders[at])
    elif order and folders and (number := number_in(folders[-1])) is not None:
        at, label = len(folders) - 1, classes.named(order.class_of(number))
    if at is None or label is None:
        return None
    below = [folder for folder in folders[at + 1 :] if not split_named((folder,))]
    word = word_of(folders[:at]) or word_named(folders[at + 1 :])
    return Image(name, label, split=split_meant(word), group="/".join(below), official=word)


def _unlabelled(name: str) -> Image:
    """Return an image of a test split without labels."""
    return Image(name, "", split="test", official=word_of(folder_of(name).parts))


def _by_file_names(images: list[Image], how: Interpretation) -> tuple[list[Image], str, list[str]]:
    """Return images with the official splits in their files' names, if all are named like FER2013's.

    In Kaggle's folders of FER2013, the one named test holds both PublicTest and PrivateTest.

    Returns
    -------
    (images, basis, warnings)
        The basis describes what determines these official splits; empty if it is the folders.
    """
    matches = {image.path: FILE_NAME.fullmatch(image.path.rpartition("/")[2]) for image in images}
    named = {path: match[1] for path, match in matches.items() if match}
    every = 0 < len(named) == len(images)
    warnings = [] if every and how.splits else [*_against_folders(images, named)]
    if not every:
        return images, "", warnings
    images = [replace(image, official=named[image.path]) for image in images]
    return images, "official splits by the files' names, such as Training_", warnings


def _against_folders(images: Iterable[Image], by_names: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each split of the folders that holds another official split, by the names of its files."""
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        if image.path in by_names:
            held[image.split or "train"][by_names[image.path]] += 1
    for split, words in sorted(held.items()):
        if {split_meant(word) for word in words} != {split}:
            counts = " and ".join(f"{count} of {word}" for word, count in sorted(words.items()))
            yield (
                f"warning: the folders' split {split} holds {counts}, by the names of FER2013's files: say by --splits "
                "which is which, such as train=train,validation=val,test=test"
            )


def class_at(folders: tuple[str, ...], named: Callable[[str], str | None]) -> int | None:
    """Return the index of the nearest folder above an image that is named like a class; or None."""
    return next((at for at in reversed(range(len(folders))) if named(folders[at])), None)


def _unlabelled_test(images: list[Image], nameless: list[str]) -> list[str]:
    """Return the images of a test split without labels: all are in one folder, and no image of the split has one."""
    if not images or any(image.split == "test" for image in images):
        return []
    inside = [name for name in nameless if split_of(folder_of(name).parts) == "test"]
    folders = {folder_of(name) for name in inside}
    if len(folders) != 1 or folders.pop().name.lower() in _OTHER_CLASSES:
        return []
    return inside


def _notes(images: list[Image]) -> Iterator[str]:
    """Yield a warning if only some folders name a split: the images of a misspelled one would train."""
    loose = [image.path for image in images if not image.split]
    if 0 < len(loose) < len(images):
        undecided = f"{len(loose)} images, such as {loose[0]}, are in no folder named train, val or test"
        yield f"warning: {undecided}: they train, or --val draws from them"


def in_emotion_folders(paths: Iterable[str]) -> bool:
    """Return whether an image is below a folder that is named like an emotion."""
    folders = {folder_of(path) for path in paths if not unusable(path)}
    return any(emotion_named(part) for folder in folders for part in folder.parts)
