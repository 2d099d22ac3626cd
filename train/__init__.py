"""Pre-training on identities, fine-tuning on emotions.

It makes a run folder a row (net x representation) and stage; `reproduce` holds the workflow over all 20 rows.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .experiments import Experiment, experiment, paper_rows
    from .progress import Point, read_progress
    from .run_folder import STAGES, Facts, Run, find_runs
    from .stage import check_set, run_stage
    from .validation import validation_accuracy
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "STAGES",
    "Experiment",
    "Facts",
    "Point",
    "Run",
    "check_set",
    "experiment",
    "find_runs",
    "paper_rows",
    "read_progress",
    "run_stage",
    "validation_accuracy",
]
