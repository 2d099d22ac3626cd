"""Drawn faces and people, and the layouts and archives that hold them: for demos and tests.

A function that writes a folder raises `EmotiwError` if the folder exists and is not empty: rehearsals use the names of
the real data sets, and must not replace them.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .archives import as_recordio, as_sfew, as_sfew_csv, as_sfew_zips
    from .expression_sets import (
        as_affectnet,
        as_affectnet_npy,
        as_ck_plus,
        as_fer2013,
        as_ferplus,
        as_ferplus_files,
        as_jaffe,
        as_kdef,
        as_raf_db_kaggle,
    )
    from .faces import draw_expressions, draw_face, draw_identities
    from .full_counts import casia_counts, draw_tiny_identities
    from .people import EXPRESSIONS, Expression, Identity, draw_identity
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "EXPRESSIONS",
    "Expression",
    "Identity",
    "as_affectnet",
    "as_affectnet_npy",
    "as_ck_plus",
    "as_fer2013",
    "as_ferplus",
    "as_ferplus_files",
    "as_jaffe",
    "as_kdef",
    "as_raf_db_kaggle",
    "as_recordio",
    "as_sfew",
    "as_sfew_csv",
    "as_sfew_zips",
    "casia_counts",
    "draw_expressions",
    "draw_face",
    "draw_identities",
    "draw_identity",
    "draw_tiny_identities",
]
