"""Levi & Hassner (ICMI 2015), redone: face images in, the paper's accuracy table out."""

from importlib.metadata import version as _version

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up only when asked for: reading metadata is slow."""
    if name == "__version__":
        return _version("emotiw")
    raise AttributeError(name)
