"""From pictures to emotions: faces, predictions, output, figures and explanations."""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .explain import Explanation, explanation_figure
    from .faces import Face, Failure, faces_in, find, pictures, read
    from .figures import prediction_figure
    from .output import FORMATS
    from .predictor import Prediction, Predictor, Tally
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "FORMATS",
    "Explanation",
    "Face",
    "Failure",
    "Prediction",
    "Predictor",
    "Tally",
    "explanation_figure",
    "faces_in",
    "find",
    "pictures",
    "prediction_figure",
    "read",
]
