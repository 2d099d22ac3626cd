"""Pre-training on identities, fine-tuning on emotions.

The package makes a run folder for each row (net x representation) and stage; `reproduce` has the workflow over all 20
rows.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .experiments import Experiment, experiment, preset_rows
    from .experiments_file import read_experiments
    from .own_net import OwnNet, read_own_net
    from .presets import PRESETS
    from .progress import Point, read_progress
    from .run_folder import STAGES, Facts, Run, find_runs
    from .stage import check_set, run_stage
    from .validation import Validation, validate
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "PRESETS",
    "STAGES",
    "Experiment",
    "Facts",
    "OwnNet",
    "Point",
    "Run",
    "Validation",
    "check_set",
    "experiment",
    "find_runs",
    "preset_rows",
    "read_experiments",
    "read_own_net",
    "read_progress",
    "run_stage",
    "validate",
]
