"""One class for each layer type of Caffe: shapes, learned blobs, and the forward pass in plain torch."""

from collections.abc import Mapping

from .accuracy import Accuracy, ArgMax
from .activations import ELU, AbsVal, Dropout, Exp, Log, Power, PReLU, ReLU, Sigmoid, TanH
from .arithmetic import Bias, Eltwise, Scale
from .convolution import Convolution, Deconvolution
from .inner_product import InnerProduct
from .inputs import Data, DummyData, Input
from .layer import Layer
from .losses import EuclideanLoss, Softmax, SoftmaxWithLoss
from .lrn import LRN
from .pooling import Pooling
from .shaping import Concat, Flatten, Reshape, Silence, Slice, Split

__all__ = ["LAYERS", "Layer"]

LAYERS: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        AbsVal,
        Accuracy,
        ArgMax,
        Bias,
        Concat,
        Convolution,
        Data,
        Deconvolution,
        Dropout,
        DummyData,
        Eltwise,
        ELU,
        EuclideanLoss,
        Exp,
        Flatten,
        InnerProduct,
        Input,
        Log,
        LRN,
        Pooling,
        Power,
        PReLU,
        ReLU,
        Reshape,
        Scale,
        Sigmoid,
        Silence,
        Slice,
        Softmax,
        SoftmaxWithLoss,
        Split,
        TanH,
    )
} | {"MemoryData": Data}
"""The layer classes by their types in a prototxt."""
