"""Layout `ck+`: the original CK+, sequences of frames from a neutral face to the peak of an expression.

`cohn-kanade-images/S005/001/S005_001_00000011.png` is a frame, and `Emotion/S005/001/S005_001_00000011_emotion.txt`
holds the number of its class, such as `3.0000000e+00`, in CK+'s order. The last frame of a labelled sequence has its
label; the first is Neutral on request (`--first-neutral`), because CK+ has no label for it. Sequences without a label,
and those of contempt unless it is a class of the set, are left out and counted. The subject is the group.

Standing: from the project's data notes; not verified on original files. `CK+48/<class>/` has the layout `folders`.
"""

import re
from collections import Counter, defaultdict

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.image_list import Image, Interpretation, Listing, printable, unusable
from emotiw.data_prep.label_order import ORDERS
from emotiw.errors import EmotiwError

from .folders import in_emotion_folders

_ORDER = ORDERS["ck+"]
# A frame: subject, sequence, frame.
_FRAME = re.compile(r"(?:.*/)?(S\d{3})/(\d{3})/\1_\2_(\d{8})\.\w+")
_LABEL = re.compile(r"(?:.*/)?(S\d{3})/(\d{3})/\1_\2_(\d{8})_emotion\.txt")
_NUMBER = re.compile(r"\s*(\d)(?:\.0*(?:e\+00)?)?\s*")
_LONGEST_LABEL = 64

Sequence = tuple[str, str]
"""A subject and the number of one of its sequences."""


def is_ck_plus(found: Found) -> bool:
    """Return whether there is a label file of a sequence, and no class folder."""
    return any(map(_LABEL.fullmatch, found.files)) and not in_emotion_folders(found.files)


def list_ck_plus(found: Found, how: Interpretation) -> Listing:
    """List the last frame of every labelled sequence; if asked, also the first, as Neutral."""
    frames, left_out = _frames(found)
    images: list[Image] = []
    unknown: Counter[str] = Counter()
    labelled = _labels(found)
    for (subject, sequence), (peak, number) in labelled.items():
        own = sorted(frames.get((subject, sequence), {}).items())
        kind, name = how.classes.named(_ORDER.class_of(number)), f"{subject}/{sequence}"
        if not own or own[-1][0] != peak:
            left_out[name] = f"its last frame is not {peak}, which its label names"
        elif kind is None:
            unknown[_ORDER.class_of(number)] += 1
        else:
            images.append(Image(own[-1][1], kind, group=subject))
            if how.first_neutral and len(own) > 1 and (neutral := how.classes.named("Neutral")):
                images.append(Image(own[0][1], neutral, group=subject))
    without = len(frames.keys() - labelled.keys())
    notes = (f"left out: {without} sequences without a label",) if without else ()
    return Listing(sorted(images, key=lambda image: image.path), found.tree, left_out, unknown, notes)


def _frames(found: Found) -> tuple[dict[Sequence, dict[str, str]], dict[str, str]]:
    """Return the paths of every sequence's frames by their numbers, and why other files cannot be used."""
    frames: dict[Sequence, dict[str, str]] = defaultdict(dict)
    left_out: dict[str, str] = {}
    for path in found.files:
        match = _FRAME.fullmatch(path)
        if match and not unusable(path):
            other = frames[match[1], match[2]].setdefault(match[3], path)
            if other != path:
                raise EmotiwError(
                    f"{found.place} holds {other} and {path}, which are one frame: give the folder of one"
                )
        elif not path.endswith(".txt"):
            left_out[printable(path)] = unusable(path) or "its name is not a frame's"
    return frames, left_out


def _labels(found: Found) -> dict[Sequence, tuple[str, int]]:
    """Return for every labelled sequence the number of its last frame, and of its class."""
    labels: dict[Sequence, tuple[str, int]] = {}
    for path in found.files:
        if match := _LABEL.fullmatch(path):
            text = found.tree.head(path, _LONGEST_LABEL).decode("ascii", "replace")
            number = _NUMBER.fullmatch(text)
            if number is None or int(number[1]) not in _ORDER.numbers:
                raise EmotiwError(f"{found.where(path)} says {text.strip()[:20]!r}, which is not one of {_ORDER}")
            label = match[3], int(number[1])
            if labels.setdefault((match[1], match[2]), label) != label:
                raise EmotiwError(f"{found.where(path)} contradicts another label of its sequence: keep one")
    return labels
