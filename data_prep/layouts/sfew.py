"""Layout `sfew`: SFEW 2.0 as its makers distribute it, unpacked or not; `sfew-csv`, a repack; SFEW 1.0 is refused.

`Train/`, `Val/` and `Test/`, or `Train_Aligned_Faces`, `Val_Aligned_Faces_new`, `Test_Aligned_Faces`, as folders or
zips, inside any folder, with one folder per class except in Test: its labels were never public.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NoReturn

from emotiw.data_prep.archives.tree import Folder, FolderOfZips, Found, Tree, folder_of
from emotiw.data_prep.archives.zip import is_zip
from emotiw.data_prep.emotions import EMOTIONS, emotion_named
from emotiw.data_prep.image_list import (
    Image,
    Interpretation,
    Listing,
    printable,
    split_meant,
    split_of,
    unusable,
    word_of,
)
from emotiw.data_prep.images import UnreadableImageError, decode
from emotiw.data_prep.same_pixels import pixel_digest
from emotiw.data_prep.splits import SPLITS
from emotiw.errors import EmotiwError

from .folders import class_at
from .tables import list_repack_rows

# <Movie>_<9 digits>_<8 digits>: the movie is the name up to the first underscore.
_NAME = re.compile(r"^([^_]+)_(?:.*_)?\d{9}_\d{8}\.\w+$")
# The faces that the paper counts, in label order; the challenge's test labels were never public.
ALIGNED = {"train": (178, 52, 78, 184, 144, 161, 94), "val": (77, 23, 46, 72, 84, 73, 56), "test": (372,)}
FRAMES = {"train": 958, "val": 436, "test": 372}
_FRAME_WIDTH = 720
_SFEW1 = re.compile(r"sfew.*\.(xlsx?|mat)$|(phog|lpq)[^/]*\.(xlsx?|mat|csv|txt)$", re.IGNORECASE)
_SFEW1_IMAGES = 700


def is_sfew1(found: Found) -> bool:
    """Return whether this is SFEW 1.0: frames of movies, no folder that says train, val or test, and its table."""
    frames = [path for path in found.files if _movie(path)]
    if not frames or any(split_of(_above(path)) for path in frames):
        return False
    return len(frames) == _SFEW1_IMAGES or any(_SFEW1.search(path) for path in found.files)


def refuse_sfew1(found: Found, how: Interpretation) -> NoReturn:
    """Raise an error that says what SFEW 1.0 is."""
    raise EmotiwError(
        f"{found.place} is SFEW 1.0 (700 images, a table with labels 1-7 and LPQ and PHOG features), another set than "
        "the paper's SFEW 2.0 (folders Train, Val and Test): give that, or --layout folders to take it as it is"
    )


def is_sfew(found: Found) -> bool:
    """Return whether frames named like SFEW's are below folders or archives that name a split."""
    files = list(found.files)
    if not any(_movie(path) for path in files) and any(is_zip(path) and split_of(_parts(path)) for path in files):
        files = _opened(found).files()
    return any(_movie(path) and split_of(_above(path)) for path in files)


def list_sfew(found: Found, how: Interpretation) -> Listing:
    """List SFEW 2.0: aligned faces if there are any, else whole frames; Test without labels; the movie is the group."""
    tree = _opened(found)
    images: list[Image] = []
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for path in tree.files():
        at = class_at(_above(path), emotion_named)
        word, kind = word_of(_above(path)), None if at is None else emotion_named(_above(path)[at])
        if reason := "an archive inside an archive: unpack it" if is_zip(path) else unusable(path):
            left_out[printable(path)] = reason
        elif not word:
            left_out[path] = "in no folder or archive named train, val or test"
        elif kind is None and split_meant(word) != "test":
            unknown[folder_of(path).name] += 1
        else:
            images.append(Image(path, kind or "", split=split_meant(word), group=_movie(path), official=word))
    images, several = _without_duplicates(tree, images, left_out)
    images, notes = _aligned_first(images)
    frames, warnings = _whole_frames(tree, images)
    return Listing(images, tree, left_out, unknown, (*several, *notes, *warnings, *differences(images, frames)))


def list_repack(found: Found, how: Interpretation) -> Listing:
    """List the repack `sfew_2.0_labels.csv` with `sfew2.0_images/`; its file names do not contain the movies."""
    listing = list_repack_rows(found, how)
    frames, warnings = _whole_frames(found.tree, listing.images)
    return replace(listing, notes=(*listing.notes, *warnings, *differences(listing.images, frames)))


def differences(images: list[Image], frames: bool = False) -> Iterator[str]:
    """Yield a warning for each split with other numbers of images than SFEW 2.0, with the numbers."""
    for split in SPLITS:
        found = Counter(image.name for image in images if image.split == split)
        expected = FRAMES[split] if frames else sum(ALIGNED[split])
        kinds = zip(EMOTIONS, ALIGNED[split], strict=True) if not frames and split != "test" else ()
        off = [f"{name} {found[name]} (published: {count})" for name, count in kinds if found[name] != count]
        if found.total() != expected or off:
            classes = f": {', '.join(off)}" if off else ""
            yield f"warning: {split} has {found.total()} images where SFEW 2.0 has {expected}{classes}"


def _opened(found: Found) -> Tree:
    return FolderOfZips(found.tree.root) if isinstance(found.tree, Folder) else found.tree


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


def _above(path: str) -> tuple[str, ...]:
    return _parts(path)[:-1]


def _movie(path: str) -> str:
    match = _NAME.match(path.rpartition("/")[2])
    return match[1] if match else ""


def _without_duplicates(tree: Tree, images: list[Image], left_out: dict[str, str]) -> tuple[list[Image], list[str]]:
    """Leave out duplicates, such as files unpacked beside their archive; a face and its frame are not duplicates.

    Returns
    -------
    (images, warnings)
        Images of one name but with different pixels are kept, with a warning.
    """
    kept: dict[tuple[str, str, str, bool], list[Image]] = defaultdict(list)
    for image in images:
        of_name = kept[image.split, image.name, _parts(image.path)[-1], _is_aligned(image)]
        same = next((first for first in of_name if _pixels(tree, first) == _pixels(tree, image)), None)
        if same is None:
            of_name.append(image)
        else:
            left_out[image.path] = f"here twice: {same.path}"
    several = [of_name for of_name in kept.values() if len(of_name) > 1]
    notes = (
        [
            f"warning: {len(several)} names are of several pictures, all of which are kept, such as "
            f"{' and '.join(image.path for image in several[0])}"
        ]
        if several
        else []
    )
    return [image for of_name in kept.values() for image in of_name], notes


def _pixels(tree: Tree, image: Image) -> str:
    """Return what identifies an image's picture: the digest of its pixels, or why it cannot be read."""
    try:
        return pixel_digest(decode(tree.read(image.path)))
    except UnreadableImageError as error:
        return str(error)


def _aligned_first(images: list[Image]) -> tuple[list[Image], list[str]]:
    """Keep only the faces of a split that has both aligned faces and frames; return a note of it."""
    counts: dict[str, Counter[bool]] = defaultdict(Counter)
    for image in images:
        counts[image.split][_is_aligned(image)] += 1
    both = {split: count[False] for split, count in counts.items() if len(count) == 2}
    kept = [image for image in images if image.split not in both or _is_aligned(image)]
    return kept, [f"{split}: {count} whole frames beside the aligned faces not used" for split, count in both.items()]


def _is_aligned(image: Image) -> bool:
    return any("aligned" in folder.lower() for folder in _above(image.path))


def _whole_frames(tree: Tree, images: list[Image]) -> tuple[bool, list[str]]:
    """Return whether one image of every split and class is a whole frame, and a warning if any is."""
    samples: dict[tuple[str, str], Image] = {}
    for image in images:
        samples.setdefault((image.split, image.name), image)
    found = {kind: image for kind, image in samples.items() if _is_frame(tree, image)}
    if not found:
        return False, []
    if len(found) == len(samples):
        return True, ["warning: these are whole frames, and the paper's faces were aligned: give --detect"]
    (split, name), example = next(iter(found.items()))
    where = (
        f"{len(found)} of {len(samples)} splits and classes, such as {split} {name or '(no label)'} ({example.path})"
    )
    return False, [f"warning: whole frames among aligned faces, in {where}: give --detect, or leave one kind out"]


def _is_frame(tree: Tree, image: Image) -> bool:
    try:
        return bool(decode(tree.read(image.path)).shape[1] >= _FRAME_WIDTH)
    except UnreadableImageError:
        return False
