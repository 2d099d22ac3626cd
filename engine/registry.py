"""Open an engine by its settings."""

from dataclasses import replace

from emotiw.errors import UsageError
from emotiw.extras import require

from .base import Engine
from .caffe.engine import CaffeEngine
from .caffe.find import find_caffe
from .settings import DEFAULT, PRECISIONS, EngineSettings


def open_engine(settings: EngineSettings = DEFAULT) -> Engine:
    """Return the engine that the settings name.

    Raises
    ------
    EmotiwError
        If it is not installed, or does not accept these settings.
    """
    if settings.engine == "caffe":
        if settings.precision != PRECISIONS[0]:
            raise UsageError(f"--precision {settings.precision} needs --engine torch: Caffe computes in float32")
        return CaffeEngine(replace(find_caffe(settings.caffe), gpu="" if settings.gpu == "none" else settings.gpu))
    if settings.caffe:
        raise UsageError(f"--caffe {settings.caffe} does not apply to --engine {settings.engine}: leave one out")
    require("torch", "--engine torch")
    from .torch.engine import TorchEngine

    return TorchEngine(settings.gpu, settings.precision)
