"""The seven classes, and the names that data sets give them."""

import re

EMOTIONS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
"""The classes, in the authors' label order: 0 ... 6."""

# Every set numbers its classes differently, so classes are matched by name only. Contempt is not one of the seven.
_ALIASES = {
    "afraid": "Fear",
    "anger": "Angry",
    "disgusted": "Disgust",
    "disguist": "Disgust",
    "fearful": "Fear",
    "happiness": "Happy",
    "joy": "Happy",
    "normal": "Neutral",
    "sadness": "Sad",
    "suprise": "Surprise",
    "surprised": "Surprise",
} | {name.lower(): name for name in EMOTIONS}

# `0_angry`, `3-happy`, `1.Fear`: the number only orders the names.
_NUMBERED = re.compile(r"\d+[\W_]+(?=[^\W\d_])", re.ASCII)


def emotion_named(name: str) -> str | None:
    """Return the emotion that a name means, in any case; None if it is not one of the seven.

    A number before the name, as in `0_angry`, is not taken as a label.

    Examples
    --------
    >>> emotion_named("HAPPINESS"), emotion_named("contempt"), emotion_named("3-happy")
    ('Happy', None, 'Happy')
    """
    plain = name.strip().lower()
    numbered = _NUMBERED.match(plain)
    return _ALIASES.get(plain[numbered.end() :] if numbered else plain)
