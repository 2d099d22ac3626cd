"""Errors that a user can cause: one line with what is wrong, where, and the remedy."""

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errno values for a full disk, quota or file."""


class EmotiwError(Exception):
    """Data or environment is not as needed; the command ends with exit status 1."""

    status = 1


class UsageError(EmotiwError):
    """The command line is wrong; the command ends with exit status 2."""

    status = 2
