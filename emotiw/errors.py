"""The errors a user can cause: one line that says what, where, and what mends it."""

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The numbers of the errors of a disk, a quota or a file that is full."""


class EmotiwError(Exception):
    """Data or environment is not as needed; the command ends with `status`."""

    status = 1


class UsageError(EmotiwError):
    """The command line itself is off."""

    status = 2
