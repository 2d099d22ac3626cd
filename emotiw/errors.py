"""The errors a user can cause: one line that says what, where, and what mends it."""


class EmotiwError(Exception):
    """Data or environment is not as needed; the command ends with `status`."""

    status = 1


class UsageError(EmotiwError):
    """The command line itself is off."""

    status = 2
