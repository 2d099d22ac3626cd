"""Estimate a set's disk usage before writing it."""

from pathlib import Path

from emotiw.disk import free_space, require_space

from .transform import Settings

# LMDB stores a large value in pages of its own; LMDB's header and the Datum's fields precede the pixels.
_PAGE, _HEADS = 4096, 48


def pages(images: int, settings: Settings) -> int:
    """Return the size in bytes of this many images in the LMDBs of all representations, in whole pages.

    That is 2 % more than their pixels at 256 x 256, and a third more at 64 x 64.

    Examples
    --------
    CASIA-WebFace in one representation:

    >>> pages(494_414, Settings("identities", ("rgb",)))
    99230867456
    """
    one = settings.size**2 * 3 + _HEADS
    return images * -(-one // _PAGE) * _PAGE * len(settings.representations)


def lmdb_size(images: int, settings: Settings) -> int:
    """Return an upper estimate in bytes of one representation's LMDB of this many images; 0 if it is not known.

    It adds the tree of keys to the pages of the pixels.
    """
    if settings.store != "raw":
        return 0
    return pages(images, settings) // len(settings.representations) * 33 // 32 + (1 << 20)


def estimate(folder: Path, images: int, done: int, settings: Settings) -> str:
    """Describe the set to write, its disk usage and the free space; `done` images are there since an interruption."""
    about = {"raw": "", "png": "at most "}[settings.store]
    half = {"raw": "", "png": " (by experience half)"}[settings.store]
    what = f"{images} images; {', '.join(settings.representations)} at {settings.size} x {settings.size}"
    there = f", {done} images are done" if done else ""
    need, free = pages(images, settings) / 1e9, free_space(folder) / 1e9
    return f"{what}, {settings.store}: {about}{need:.2f} GB{half}{there}, and {free:.2f} GB are free"


def check_space(folder: Path, images: int, settings: Settings) -> None:
    """Raise `EmotiwError` if this many more images do not fit; PNG sizes cannot be predicted and are not checked."""
    if settings.store == "raw":
        mend = "free some, or use --store png, or prepare one representation at a time"
        require_space(folder.parent, "the set needs", pages(images, settings), mend)
