"""Which engine computes: the real Caffe unless another is named."""

from dataclasses import replace
from importlib.util import find_spec

from emotiw.engine import PRECISIONS
from emotiw.errors import EmotiwError, UsageError

from .base import Engine
from .caffe.engine import CaffeEngine
from .caffe.find import find_caffe


def open_engine(name: str = "caffe", caffe: str | None = None, gpu: str = "", precision: str = "float32") -> Engine:
    """Return the engine of a name.

    Parameters
    ----------
    name
        One of `engine.ENGINES`.
    caffe
        Which Caffe, for `find_caffe`.
    gpu
        Which GPUs train: "0", "0,1", "all"; empty: for Caffe none, for torch the first where there is one; "none".
    precision
        One of `PRECISIONS`; Caffe has the first alone.

    Raises
    ------
    EmotiwError
        Where it is not here, or does not take what it is given.
    """
    if name == "caffe":
        if precision != PRECISIONS[0]:
            raise UsageError(f"--precision {precision} needs --engine torch: Caffe computes in float32")
        return CaffeEngine(replace(find_caffe(caffe), gpu="" if gpu == "none" else gpu))
    if caffe:
        raise UsageError(f"--caffe {caffe} is of no use to --engine {name}: leave one of them out")
    if find_spec("torch") is None:
        raise EmotiwError("--engine torch needs PyTorch: pip install 'emotiw[torch]'")
    from .torch.engine import TorchEngine

    return TorchEngine(gpu, precision)
