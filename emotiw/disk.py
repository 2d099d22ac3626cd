"""Free space on a disk."""

import shutil
from pathlib import Path

from emotiw.errors import EmotiwError


def free_space(folder: Path) -> int:
    """Return the number of free bytes on the disk of a folder."""
    return shutil.disk_usage(folder).free


def require_space(folder: Path, needs: str, size: int, mend: str = "free some") -> None:
    """Check that `size` bytes more fit on the disk of a folder.

    Parameters
    ----------
    needs
        The beginning of the error message: subject and verb, such as ``"the set needs"``.
    mend
        The end of the message: the remedy.

    Raises
    ------
    EmotiwError
        If they do not fit.
    """
    free = free_space(folder)
    if size > free:
        raise EmotiwError(f"{needs} {size / 1e9:.2f} GB and {folder} has {free / 1e9:.2f} GB free: {mend}")
