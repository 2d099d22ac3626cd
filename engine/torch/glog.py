"""Lines in the format of glog, which Caffe's tools, such as parse_log.py, read."""

import os
from datetime import datetime


def glog_line(message: str, module: str, severity: str = "I") -> str:
    """Return a line of a log, with the time in microseconds.

    Parameters
    ----------
    message
        One line.
    module
        The name of the module that logs it.
    severity
        I, W, E or F.
    """
    return f"{severity}{datetime.now():%m%d %H:%M:%S.%f} {os.getpid():5d} {module}] {message}"
