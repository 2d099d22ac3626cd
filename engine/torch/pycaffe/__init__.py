"""pycaffe's names on the torch engine: `from emotiw.engine.torch import pycaffe as caffe`.

Errors for which Caffe aborts the process are EmotiwErrors here. There are no Python layers and no NCCL; a net computes
on the device that the mode selected when it was opened; random numbers are torch's.
"""

from emotiw.engine.torch.layers import LAYERS as _LAYERS

from . import io as io
from . import proto as proto
from .classifier import Classifier as Classifier
from .mode import set_device as set_device
from .mode import set_mode_cpu as set_mode_cpu
from .mode import set_mode_gpu as set_mode_gpu
from .mode import set_random_seed as set_random_seed
from .net import Net as Net
from .net_spec import NetSpec as NetSpec
from .net_spec import layers as layers
from .net_spec import params as params
from .net_spec import to_proto as to_proto
from .proto.caffe_pb2 import TEST as TEST
from .proto.caffe_pb2 import TRAIN as TRAIN
from .solvers import AdaDeltaSolver as AdaDeltaSolver
from .solvers import AdaGradSolver as AdaGradSolver
from .solvers import AdamSolver as AdamSolver
from .solvers import NesterovSolver as NesterovSolver
from .solvers import RMSPropSolver as RMSPropSolver
from .solvers import SGDSolver as SGDSolver
from .solvers import get_solver as get_solver


def layer_type_list() -> list[str]:
    """Return the supported layer types."""
    return sorted(_LAYERS)
