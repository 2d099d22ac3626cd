"""The limit on an image's pixels: a 48 kB file can hold 400 million of one colour, and mapping needs 100 bytes each."""

import os

from emotiw.errors import EmotiwError

VARIABLE = "OPENCV_IO_MAX_IMAGE_PIXELS"
"""OpenCV's own environment variable, which overrides the limit."""

_DEFAULT = str(1 << 25)
_DIGITS = 19  # below 2^64


def set_default() -> None:
    """Set the limit if the user has not. OpenCV reads it once, at its import; child processes inherit it."""
    os.environ.setdefault(VARIABLE, _DEFAULT)


def most_pixels() -> int:
    """Return the largest number of pixels that an image may have.

    Raises
    ------
    EmotiwError
        If the variable is not a positive whole number. OpenCV would abort the process at its import.
    """
    value = os.environ.get(VARIABLE, _DEFAULT)
    if not (value.isascii() and value.isdecimal() and len(value) <= _DIGITS and int(value)):
        raise EmotiwError(
            f"${VARIABLE} is {value[:40]!r}: set it to the most pixels a picture may have, a whole number such as "
            f"{_DEFAULT}, or unset it"
        )
    return int(value)
