"""Folders and archives as trees of files; unpacking of files that cannot be read in place."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .extract import unpack
    from .tree import Folder, FolderOfZips, Found, Source, Tree, look
    from .zip import Zip, is_zip
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Folder", "FolderOfZips", "Found", "Source", "Tree", "Zip", "is_zip", "look", "unpack"]
