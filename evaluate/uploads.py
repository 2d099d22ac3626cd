"""The folder of uploaded pictures."""

import os
import re
import stat
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{64}/[^/\0]+")  # Gradio names a folder by the SHA-256 of the file in it


class Uploads:
    """The upload folder of one page.

    Parameters
    ----------
    folder
        Its path, without symbolic links in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def holds(self, path: str) -> bool:
        """Return whether `path` is an upload: a regular file, named without detours and without symbolic links."""
        folder = f"{self.folder}/"
        if not path.startswith(folder) or not _NAME.fullmatch(path.removeprefix(folder)):
            return False
        try:
            return os.path.realpath(path) == path and stat.S_ISREG(os.lstat(path).st_mode)
        except (OSError, ValueError):  # too long a name, or one that is no UTF-8
            return False
