"""The layouts of data sets of faces, one module each; `list_images` recognises them."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .registry import LAYOUTS, Layout, list_images
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["LAYOUTS", "Layout", "list_images"]
