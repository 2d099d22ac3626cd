"""Levi & Hassner (ICMI 2015), redone: face images in, the paper's accuracy table out."""

from emotiw import pixel_limit
from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from emotiw.version import __version__
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["__version__"]

pixel_limit.set_default()  # nothing of this package, and so no OpenCV, is imported before this
