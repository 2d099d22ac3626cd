"""Layouts `jaffe` and `kdef`: a file's name gives its person and its expression.

`jaffe`: `KA.AN1.39.tiff`: person, expression and repetition, number; 213 images of 10 people. `kdef`: `AF01ANS.JPG`:
session A or B, person (sex and number), expression (AF is afraid), view. A person of both sessions is one person. All
views are kept, profiles too; the name gives the view (FL, HL, S straight, HR, FR). The person is the group.

Standing: from the project's data notes; not verified on original files.
"""

import re
from functools import partial

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Image, Interpretation, Listing, printable, unusable

from .folders import in_emotion_folders

_EMOTIONS = {
    "AF": "Fear",
    "AN": "Angry",
    "DI": "Disgust",
    "FE": "Fear",
    "HA": "Happy",
    "NE": "Neutral",
    "SA": "Sad",
    "SU": "Surprise",
}
_JAFFE = re.compile(r"(?P<person>[A-Z]{2})\.(?P<emotion>AN|DI|FE|HA|NE|SA|SU)\d\.\d+\.\w+", re.IGNORECASE)
_KDEF = re.compile(r"[AB](?P<person>[FM]\d{2})(?P<emotion>AF|AN|DI|HA|NE|SA|SU)(?:FL|HL|S|HR|FR)\.\w+", re.IGNORECASE)


def _is_named(found: Found, *, names: re.Pattern[str]) -> bool:
    """Return whether there are files with such names, and no class folders, which come first."""
    named = (path for path in found.files if names.fullmatch(path.rpartition("/")[2]) and not unusable(path))
    return next(named, None) is not None and not in_emotion_folders(found.files)


def _list_named(found: Found, how: Interpretation, *, names: re.Pattern[str]) -> Listing:
    """List the images by their names; the class is the expression, or the person."""
    images: list[Image] = []
    left_out: dict[str, str] = {}
    for path in found.files:
        match = names.fullmatch(path.rpartition("/")[2])
        if reason := unusable(path) or ("" if match else "its name says no person and expression"):
            left_out[printable(path)] = reason
        elif match:
            person, emotion = match["person"].upper(), _EMOTIONS[match["emotion"].upper()]
            images.append(Image(path, emotion if how.labels == "emotions" else person, group=person))
    return Listing(images, found.tree, left_out)


is_jaffe, list_jaffe = partial(_is_named, names=_JAFFE), partial(_list_named, names=_JAFFE)
is_kdef, list_kdef = partial(_is_named, names=_KDEF), partial(_list_named, names=_KDEF)
