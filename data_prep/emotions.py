"""The seven classes, and the names under which other sets hold them."""

EMOTIONS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
"""The classes, in the authors' label order: 0 ... 6."""

# Every set numbers its classes differently, so classes are matched by name only. Contempt has no place among the seven.
_ALIASES = {
    "anger": "Angry",
    "disgusted": "Disgust",
    "fearful": "Fear",
    "happiness": "Happy",
    "normal": "Neutral",
    "sadness": "Sad",
    "surprised": "Surprise",
} | {name.lower(): name for name in EMOTIONS}


def emotion_named(name: str) -> str | None:
    """Return which of the seven a folder's name means, in any case, or None.

    Examples
    --------
    >>> emotion_named("HAPPINESS"), emotion_named("contempt")
    ('Happy', None)
    """
    return _ALIASES.get(name.strip().lower())
