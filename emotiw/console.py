"""The package's log messages, as the command shows them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The output of `emotiw caffe install` is the program's path; its messages go to standard error, as its bars do.
_ON_STDERR = "emotiw.engine.caffe.install"


class _Console(logging.Handler):
    """Prints each message unchanged, at once; errors of the stream are raised to the caller."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        stream = sys.stderr if record.name.startswith(_ON_STDERR) else sys.stdout
        print(self.format(record), file=stream, flush=True)


@contextmanager
def messages_shown() -> Iterator[None]:
    """Show the log messages of this package, from `logging.INFO` on, while the block runs."""
    logger, console = logging.getLogger("emotiw"), _Console()
    level = logger.level
    logger.addHandler(console)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(console)
        logger.setLevel(level)
