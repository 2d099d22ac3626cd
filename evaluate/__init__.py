"""The accuracy table, the weighted ensemble.

The package makes scores, weights, a classical baseline, `table.md`, `report.html`; predictions by the released models
and by your own. `scoring` scores a model on a split of a prepared set; `table` makes one table of all scores.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .cross_validation import folds
    from .ensemble import combine, fit_weights
    from .model import Model, open_model, open_models
    from .plots import confusion_picture
    from .scores import Scores, read_scores, write_scores
    from .scoring import Protocol, Task, evaluate, read_protocol, score
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "Model",
    "Protocol",
    "Scores",
    "Task",
    "combine",
    "confusion_picture",
    "evaluate",
    "fit_weights",
    "folds",
    "open_model",
    "open_models",
    "read_protocol",
    "read_scores",
    "score",
    "write_scores",
]
