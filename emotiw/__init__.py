"""Levi & Hassner (ICMI 2015), redone: face images in, the paper's accuracy table out."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up only when asked for: to import what reads metadata takes longer than all else of `--help`."""
    if name == "__version__":
        from importlib.metadata import version

        return version("emotiw")
    raise AttributeError(name)
