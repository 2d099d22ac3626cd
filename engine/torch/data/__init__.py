"""Input data of a net: LMDBs, their Datums, and Caffe's data transformer."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .datum_reader import Records
    from .lmdb_source import LmdbSource, Sources
    from .prefetch import Ahead
    from .transformer import Transformer
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = ["Ahead", "LmdbSource", "Records", "Sources", "Transformer"]
