"""Layout `folders`: `<class>/<image>`, whatever lies around; CASIA-WebFace's `<7-digit id>/<nnn>.jpg` is one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from emotiw.data_prep.archives.tree import Found
from emotiw.data_prep.emotions import emotion_named
from emotiw.data_prep.image_list import Image, Listing, printable, split_of, unusable


def list_folders(found: Found, labels: str) -> Listing:
    """List the images of a tree of folders.

    Parameters
    ----------
    labels
        "emotions": an image's class is the nearest folder above it named like one of the seven; images under other
        names are left out and counted. "identities": its class is the folder it lies in. Folders above it whose names
        begin with the word train, val or test (or training, valid, validation) name its split.
    """
    images: list[Image] = []
    left_out: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for name in found.files:
        path = PurePosixPath(name)
        kind = class_of(path, labels)
        if reason := unusable(name):
            left_out[printable(name)] = reason
        elif kind is None:
            unknown[path.parent.name] += 1
        else:
            above = path.parts[: -2 if labels == "identities" else -1]  # somebody may be called Test
            images.append(Image(name, kind, split=split_of(above)))
    return Listing(images, found.tree, left_out, unknown, tuple(_notes(images)))


def _notes(images: list[Image]) -> Iterator[str]:
    """Yield a warning where some folders say their split and others do not: a misspelled one would train."""
    loose = [image.path for image in images if not image.split]
    if 0 < len(loose) < len(images):
        told = f"{len(loose)} images, such as {loose[0]}, lie in no folder named train, val or test"
        yield f"warning: {told}: they train, or are drawn from by --val"


def class_of(path: PurePosixPath, labels: str) -> str | None:
    """Return the class that the folders above an image name, or None."""
    if labels == "identities":
        return path.parent.name or None
    return next((emotion for folder in reversed(path.parts[:-1]) if (emotion := emotion_named(folder))), None)


def in_emotion_folders(paths: Iterable[str]) -> bool:
    """Return whether an image lies below a folder named like an emotion."""
    folders = {PurePosixPath(path).parent for path in paths if not unusable(path)}
    return any(emotion_named(part) for folder in folders for part in folder.parts)
