"""Which engine computes: the real Caffe unless another is named."""

from dataclasses import replace
from importlib.util import find_spec

from emotiw.errors import EmotiwError, UsageError

from .base import Engine
from .caffe.engine import CaffeEngine
from .caffe.find import find_caffe
from .settings import DEFAULT, PRECISIONS, EngineSettings


def open_engine(settings: EngineSettings = DEFAULT) -> Engine:
    """Return the engine that the settings name.

    Raises
    ------
    EmotiwError
        If it is not here, or does not take the settings that it is given.
    """
    if settings.engine == "caffe":
        if settings.precision != PRECISIONS[0]:
            raise UsageError(f"--precision {settings.precision} needs --engine torch: Caffe computes in float32")
        return CaffeEngine(replace(find_caffe(settings.caffe), gpu="" if settings.gpu == "none" else settings.gpu))
    if settings.caffe:
        raise UsageError(f"--caffe {settings.caffe} is of no use to --engine {settings.engine}: leave one of them out")
    if find_spec("torch") is None:
        raise EmotiwError("--engine torch needs PyTorch: pip install 'emotiw[torch]'")
    from .torch.engine import TorchEngine

    return TorchEngine(settings.gpu, settings.precision)
