"""pycaffe's names on the torch engine: `from emotiw.engine.torch import pycaffe as caffe`.

Errors for which Caffe aborts the process are EmotiwErrors here. A net computes on the device that the mode selected
when it was opened; random numbers are torch's.
"""

from . import coord_map as coord_map
from . import draw as draw
from . import io as io
from . import net_spec as net_spec
from . import proto as proto
from .classifier import Classifier as Classifier
from .layerwise import Layerwise as _Layerwise
from .mode import has_nccl as has_nccl
from .mode import init_log as init_log
from .mode import log as log
from .mode import set_device as set_device
from .mode import set_mode_cpu as set_mode_cpu
from .mode import set_mode_gpu as set_mode_gpu
from .mode import set_multiprocess as set_multiprocess
from .mode import set_random_seed as set_random_seed
from .mode import set_solver_count as set_solver_count
from .mode import set_solver_rank as set_solver_rank
from .mode import solver_count as solver_count
from .mode import solver_rank as solver_rank
from .net import Net as Net
from .net_spec import NetSpec as NetSpec
from .net_spec import layers as layers
from .net_spec import params as params
from .net_spec import to_proto as to_proto
from .proto.caffe_pb2 import TEST as TEST
from .proto.caffe_pb2 import TRAIN as TRAIN
from .python_layer import Layer as Layer
from .refused import NCCL as NCCL
from .refused import Detector as Detector
from .solvers import AdaDeltaSolver as AdaDeltaSolver
from .solvers import AdaGradSolver as AdaGradSolver
from .solvers import AdamSolver as AdamSolver
from .solvers import NesterovSolver as NesterovSolver
from .solvers import RMSPropSolver as RMSPropSolver
from .solvers import SGDSolver as SGDSolver
from .solvers import get_solver as get_solver
from .timer import Timer as Timer

__version__ = "1.0.0"  # the Caffe that these names are of


def layer_type_list() -> list[str]:
    """Return the supported layer types."""
    return sorted(_Layerwise.kinds)
