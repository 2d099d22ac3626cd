"""Levi & Hassner (ICMI 2015), redone: face images in, the paper's accuracy table out."""

from emotiw import pixel_limit

__all__ = ["__version__"]

pixel_limit.set_default()  # nothing of this package, and so no OpenCV, is imported before this


def __getattr__(name: str) -> str:
    """Look the version up only when asked for: to import what reads metadata takes longer than all else of `--help`."""
    if name == "__version__":
        from importlib.metadata import version

        return version("emotiw")
    raise AttributeError(name)
