"""What room a set takes on the disk, told before it is made."""

from pathlib import Path

from emotiw.disk import free_space, require_space

from .transform import Settings

# LMDB keeps a large value in pages of its own; before the pixels stand its own header and the Datum's fields.
_PAGE, _HEADS = 4096, 48


def pixels(images: int, settings: Settings) -> int:
    """Return the bytes of so many images' pixels, raw, in all representations.

    Examples
    --------
    CASIA-WebFace's, in one:

    >>> pixels(494_414, Settings("identities", ("rgb",)))
    97205747712
    """
    return images * settings.size**2 * 3 * len(settings.representations)


def pages(images: int, settings: Settings) -> int:
    """Return the bytes that the same take in LMDBs: 2 % more at 256 x 256, much more of tiny ones."""
    one = settings.size**2 * 3 + _HEADS
    return images * -(-one // _PAGE) * _PAGE * len(settings.representations)


def lmdb_size(images: int, settings: Settings) -> int:
    """Return the most bytes that one representation's LMDB of so many images takes, as a rule; 0 if not known.

    Beside the pixels' pages there is the tree of keys.
    """
    if settings.store != "raw":
        return 0
    return pages(images, settings) // len(settings.representations) * 33 // 32 + (1 << 20)


def foretold(folder: Path, images: int, done: int, settings: Settings) -> str:
    """Return what is about to be made, and in what room; `done` of the images are there since an interruption."""
    about = {"raw": "", "png": "at most "}[settings.store]
    half = {"raw": "", "png": " (by experience half)"}[settings.store]
    what = f"{images} images; {', '.join(settings.representations)} at {settings.size} x {settings.size}"
    there = f", {done} images of it are there" if done else ""
    need, free = pixels(images, settings) / 1e9, free_space(folder) / 1e9
    return f"{what}, {settings.store}: {about}{need:.2f} GB{half}{there}, and {free:.2f} GB are free"


def check_room(folder: Path, images: int, settings: Settings) -> None:
    """Raise where so many images more do not fit; PNGs are of no size that could be foretold."""
    if settings.store == "raw":
        mend = "free some, or use --store png, or prepare one representation at a time"
        require_space(folder.parent, "the set needs", pages(images, settings), mend)
