"""Transforms applied to CASIA-WebFace and to SFEW.

It makes LMDBs, mean and manifest, all representations in one pass: `prepare.prepare` writes a prepared set from a
folder or an archive of images, and `open_set` reads it.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .emotions import EMOTIONS, emotion_named
    from .face_detection import crop_face, find_faces
    from .image_list import Image, Listing
    from .images import UnreadableImageError, decode, read_image, resize
    from .label_order import ORDERS, LabelOrder
    from .lmdb_writer import LmdbWriter
    from .prepared_set import PreparedSet, Record, open_set
    from .splits import SPLITS, assign_splits
    from .transform import Settings
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "EMOTIONS",
    "ORDERS",
    "SPLITS",
    "Image",
    "LabelOrder",
    "Listing",
    "LmdbWriter",
    "PreparedSet",
    "Record",
    "Settings",
    "UnreadableImageError",
    "assign_splits",
    "crop_face",
    "decode",
    "emotion_named",
    "find_faces",
    "open_set",
    "read_image",
    "resize",
]
