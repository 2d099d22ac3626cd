"""The input records of a prepared set's files, which runs and scores keep."""

import os
from collections.abc import Mapping
from pathlib import Path

from emotiw.inputs import Input, taken, value
from emotiw.lbp_mapping.representation import parse
from emotiw.lbp_mapping.tables import palette


def lmdb_role(representation: str, split: str) -> str:
    """Return the role of an LMDB in a record of inputs."""
    return f"LMDB of {representation}, {split}"


def mean_role(representation: str) -> str:
    """Return the role of a set's mean in a record of inputs."""
    return f"mean of {representation}"


def palette_role(representation: str) -> str:
    """Return the role of the colours of a mapping in a record of inputs."""
    return f"colours of {representation}"


def colours(representation: str) -> Input | None:
    """Return the input record of the colours that this version gives a representation; None for RGB, which has none."""
    mapping = parse(representation).mapping
    return None if mapping == "rgb" else value(palette_role(representation), palette(mapping).tobytes())


def set_inputs(folder: Path, digests: Mapping[tuple[str, str], str]) -> list[Input]:
    """Return the input records of the files of a new set.

    Parameters
    ----------
    digests
        The digest of the records of each LMDB, by representation and split.
    """
    names = dict.fromkeys(representation for representation, _ in digests)
    lmdbs = [(lmdb_role(*key), f"{key[0]}/{key[1]}_lmdb", sha256) for key, sha256 in digests.items()]
    means = [(mean_role(name), f"{name}/mean.binaryproto", "") for name, split in digests if split == "train"]
    for later, (_, path, _) in enumerate(lmdbs):
        _delay(folder / path / "data.mdb", later)
    files = [taken(role, folder / path, sha256, path) for role, path, sha256 in (*lmdbs, *means)]
    return files + [found for name in names if (found := colours(name))]


def _delay(path: Path, nanoseconds: int) -> None:
    """Make a file's time later, because LMDBs of one size are often written within one tick of the file system's clock.

    Otherwise one that is copied over another together with its time (`cp -p`) could pass for it.
    """
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + nanoseconds))
