"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("emotiw")
except PackageNotFoundError:
    __version__ = "unknown (a checkout, not installed)"
