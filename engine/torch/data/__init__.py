"""Input data of a net: LMDBs, lists of images, HDF5 files, and Caffe's data transformer."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .datum_reader import Records
    from .hdf5_source import Hdf5Source
    from .image_source import ImageSource
    from .lmdb_source import LmdbSource, Sources
    from .prefetch import Ahead
    from .transformer import Transformer
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Ahead", "Hdf5Source", "ImageSource", "LmdbSource", "Records", "Sources", "Transformer"]
