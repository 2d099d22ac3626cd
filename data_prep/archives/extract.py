"""Files of a zip archive that are read here and there, unpacked for as long as the set is being made."""

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
    """Return the folder, right in `folder`, that holds these files of an archive under their paths in it.

    What is whole there since an interruption is not unpacked again; what is there of another archive, or of this one
    before it changed, is removed. Before anything is unpacked, it logs what will be and what room it needs.

    Raises
    ------
    EmotiwError
        Where the archive lacks a file, one is damaged in it, or the disk is too small.
    """
    if lacking := sorted({*names} - {*archive.files()}):
        raise EmotiwError(f"{archive.root} holds no {lacking[0]}, which belongs to the others: pack them together")
    place = folder / _version(archive)
    place.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other != place:
            remove(other)
    sizes = {name: archive.size(name) for name in names if not _is_whole(place / name, archive.size(name))}
    if sizes:
        _check_room(folder, f"{archive.root}: {', '.join(sizes)}", sum(sizes.values()))
    for name, size in sizes.items():
        _copy(archive, name, size, place / name)
    return place


def _version(archive: Zip) -> str:
    """Return a name that is another for another archive, and for this one after a change."""
    return sha256_of(json.dumps([str(archive.root.resolve()), *archive.stamp("")]).encode())


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _check_room(folder: Path, what: str, need: int) -> None:
    _LOG.info(
        f"{what}: read here and there, so unpacked until the set is made: {need / 1e9:.2f} GB, and "
        f"{free_space(folder) / 1e9:.2f} GB are free"
    )
    require_space(folder, f"{what}: unpacking needs", need)


def _copy(archive: Zip, name: str, size: int, target: Path) -> None:
    """Write a file whole or not at all, as old as its archive: unpacked once more, it has the stamp that it had."""
    try:
        with whole(target) as temporary:
            chunks = bar(archive.chunks(name), f"unpack {name}", -(-size // CHUNK), "MiB")
            with chunks, temporary.open("wb") as file:
                file.writelines(chunks)
            time = archive.stamp(name)[1]
            os.utime(temporary, ns=(time, time))
    except UnreadableImageError as error:
        raise EmotiwError(f"{archive.root}: {name} is {error}: copy the archive again") from None
