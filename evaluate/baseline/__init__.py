"""The classical baseline: region histograms of LBP codes, and an SVM."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .baseline import Baseline, find, folder_of, make, write
    from .features import face_histograms, region_histograms
    from .svm import Choice, choose, posteriors
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "Baseline",
    "Choice",
    "choose",
    "face_histograms",
    "find",
    "folder_of",
    "make",
    "posteriors",
    "region_histograms",
    "write",
]
