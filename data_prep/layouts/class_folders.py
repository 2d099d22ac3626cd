"""Which folders are the classes of a source, if the user does not name the classes."""

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.class_list import EVERY_NAME, ClassList, exact_names, listed
from emotiw.data_prep.image_list import AmbiguousError, Interpretation, Reading, split_of
from emotiw.data_prep.label_order import label_order

_LONGEST_FLAG = 200  # characters


def classes_of_folders(found: Found, names: Sequence[str], how: Interpretation) -> ClassList:
    """Return the classes that the folders above images name, or those of the given order of numbers.

    Folders that all images share, and folders that begin with the word for a split, are no classes. Images that are in
    no other folder have no class.

    Parameters
    ----------
    names
        The paths of the images.

    Raises
    ------
    AmbiguousError
        If images are in folders inside folders, so that each may be the class.
    """
    if how.order:
        return exact_names(label_order(how.order, EVERY_NAME).names)
    above = [
        [part for part in parts if not split_of((part,))]
        for parts in {PurePosixPath(name).parent.parts for name in names}
    ]
    named = [parts for parts in above if parts]
    alike = [len(set(level)) == 1 for level in zip(*named, strict=False)]  # of each level that all folders have
    shared = [*alike, False].index(False)
    below = [parts[shared:] for parts in named if parts[shared:]]
    if any(len(parts) > 1 for parts in below):
        readings = [_reading(sorted({parts[at] for parts in below})) for at in (0, -1)]
        raise AmbiguousError(f"{found.place}: images are in folders inside folders; which are the classes?", readings)
    # One class: all its images share its folder.
    return exact_names({parts[0] for parts in below} or {parts[-1] for parts in named})


def _reading(names: list[str]) -> Reading:
    given = f"--classes {shlex.quote(','.join(names))}"
    plain = len(given) <= _LONGEST_FLAG and not any("," in name for name in names)
    return Reading(f"{len(names)} classes, {listed(names)}", given if plain else "--classes FILE with these names")
