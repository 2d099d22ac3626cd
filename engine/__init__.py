"""The real Caffe as a separate program: training and forward passes; the same files by PyTorch; nets as ONNX models.

All engines have the same interface (`Engine`); `open_engine` opens the one that an `EngineSettings` names.
"""

from emotiw.lazy import TYPE_CHECKING, attach

if TYPE_CHECKING:
    from .base import DivergedError, Engine, Loss, Scorer, Snapshot
    from .inference import posteriors
    from .preprocessing import MEAN_RULES, net_inputs, resize, resize_mean
    from .registry import open_engine
    from .settings import ENGINES, PRECISIONS, EngineSettings
    from .training_log import losses
else:
    __getattr__, __dir__ = attach(__name__)

__all__ = [
    "ENGINES",
    "MEAN_RULES",
    "PRECISIONS",
    "DivergedError",
    "Engine",
    "EngineSettings",
    "Loss",
    "Scorer",
    "Snapshot",
    "losses",
    "net_inputs",
    "open_engine",
    "posteriors",
    "resize",
    "resize_mean",
]
