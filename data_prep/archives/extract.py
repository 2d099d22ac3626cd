"""Unpack the files of a zip archive that need random access, until the set is complete."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from emotiw.data_prep.images import UnreadableImageError
from emotiw.disk import free_space, require_space
from emotiw.errors import EmotiwError
from emotiw.files import remove, sha256_of, whole
from emotiw.progress_bar import bar

from .zip import CHUNK, Zip

_LOG = logging.getLogger(__name__)


def unpack(folder: Path, archive: Zip, names: Sequence[str]) -> Path:
    """Unpack files of an archive under their paths; return the subfolder of `folder` that holds them.

    Files that an interrupted call unpacked completely are kept. Files of another archive, or of an earlier version of
    this one, are removed. The files to unpack and the disk space that they need are logged first.

    Raises
    ------
    EmotiwError
        If the archive lacks a file, a file in it is damaged, or the disk is too small.
    """
    if lacking := sorted({*names} - {*archive.files()}):
        raise EmotiwError(f"{archive.root} holds no {lacking[0]}, which is needed, too: add it to the archive")
    place = folder / _version(archive)
    place.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other != place:
            remove(other)
    sizes = {name: archive.size(name) for name in names if not _is_whole(place / name, archive.size(name))}
    if sizes:
        _check_space(folder, f"{archive.root}: {', '.join(sizes)}", sum(sizes.values()))
    for name, size in sizes.items():
        _copy(archive, name, size, place / name)
    return place


def _version(archive: Zip) -> str:
    """Return a name that differs between archives, and between versions of one archive."""
    return sha256_of(json.dumps([str(archive.root.resolve()), *archive.stamp("")]).encode())


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check_space(folder: Path, what: str, need: int) -> None:
    _LOG.info(
        f"{what}: unpacked for random access, until the set is complete: {need / 1e9:.2f} GB, and "
        f"{free_space(folder) / 1e9:.2f} GB are free"
    )
    require_space(folder, f"{what}: unpacking needs", need)


def _copy(archive: Zip, name: str, size: int, target: Path) -> None:
    """Write a file atomically, with its archive's modification time, so that unpacking again gives the same stamp."""
    try:
        with whole(target) as temporary:
            chunks = bar(archive.chunks(name), f"unpack {name}", -(-size // CHUNK), "MiB")
            with chunks, temporary.open("wb") as file:
                file.writelines(chunks)
            time = archive.stamp(name)[1]
            os.utime(temporary, ns=(time, time))
    except UnreadableImageError as error:
        raise EmotiwError(f"{archive.root}: {name} is {error}: copy the archive again") from None
