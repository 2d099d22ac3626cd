"""LBP codes; Earth Mover's Distance between the 256 codes; multi-dimensional scaling to 3-D.

It makes an image in the colours of its codes from an array. It reads no files except its own tables, and does not need
Caffe.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .codes import grey, lbp_codes
    from .derivation import Derivation, derive
    from .distance import DISTANCES, matrix
    from .embedding import Embedding, classical_mds, nonmetric_mds
    from .figures import codes_figure, face_figure
    from .mapping import map_image, map_images
    from .representation import MAPPED, PAPER, Representation, parse
    from .tables import palette
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "DISTANCES",
    "MAPPED",
    "PAPER",
    "Derivation",
    "Embedding",
    "Representation",
    "classical_mds",
    "codes_figure",
    "derive",
    "face_figure",
    "grey",
    "lbp_codes",
    "map_image",
    "map_images",
    "matrix",
    "nonmetric_mds",
    "palette",
    "parse",
]
