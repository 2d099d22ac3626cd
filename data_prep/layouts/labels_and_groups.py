"""Complete a listing: the classes in label order, the label and the group of each image."""

from dataclasses import replace
from pathlib import Path

from emotiw.data_prep.class_list import classes_of_names
from emotiw.data_prep.groups import group_by, group_in_name, pattern_of
from emotiw.data_prep.image_list import Basis, Image, Interpretation, Listing


def complete(listing: Listing, source: Path, how: Interpretation) -> Listing:
    """Return the listing with its classes, labels and groups.

    Raises
    ------
    EmotiwError
        If the names in the source cannot be the classes of a set.
    """
    names, labels, group = {image.name for image in listing.images} - {""}, how.labels, how.group
    given = tuple(sorted(names)) if labels == "identities" else how.classes.names
    classes = given or classes_of_names(names, source)
    numbers = {name: number for number, name in enumerate(classes)} | {"": -1}
    pattern = pattern_of(group)
    basis = listing.basis or Basis()
    if pattern:
        basis = replace(basis, groups=f"--group {group}")
    elif labels != "identities" and not basis.groups:
        basis = replace(basis, groups=_groups_from(listing.images))
    images = [
        replace(
            image,
            label=numbers[image.name],
            group=group_by(image.path, pattern) if pattern else _own_group(image, labels),
        )
        for image in listing.images
    ]
    return replace(listing, images=images, classes=classes, basis=basis)


def _groups_from(images: list[Image]) -> str:
    """Return what determines the groups without an option; empty if each image is a group of its own."""
    from_folders = any(image.group for image in images)
    from_names = any(not image.group and group_in_name(image.path) for image in images)
    return " and ".join(
        words
        for words, given in (("folders below the class", from_folders), ("files named as a known set's", from_names))
        if given
    )


def _own_group(image: Image, labels: str) -> str:
    """Return the group from the layout or the name; with identities a person is a class, not a group."""
    return image.group or (labels != "identities" and group_in_name(image.path)) or image.path
