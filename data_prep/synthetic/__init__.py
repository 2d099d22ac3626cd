"""Drawn faces and people, and the archives and layouts they are packed in: for demos and tests."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .archives import as_recordio, as_sfew, as_sfew_csv, as_sfew_zips
    from .faces import draw_expressions, draw_face, draw_identities
    from .people import EXPRESSIONS, Expression, Identity, draw_identity
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "EXPRESSIONS",
    "Expression",
    "Identity",
    "as_recordio",
    "as_sfew",
    "as_sfew_csv",
    "as_sfew_zips",
    "draw_expressions",
    "draw_face",
    "draw_identities",
    "draw_identity",
]
