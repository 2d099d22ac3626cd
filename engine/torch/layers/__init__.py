"""One class for each layer type of Caffe: shapes, learned blobs, and the forward pass in plain torch."""

from collections.abc import Mapping

from .accuracy import Accuracy, ArgMax
from .activations import ELU, AbsVal, Dropout, Exp, Log, Power, PReLU, ReLU, Sigmoid, TanH
from .arithmetic import Bias, Eltwise, Reduction, Scale
from .batch_norm import BatchNorm
from .convolution import Convolution, Deconvolution
from .inner_product import InnerProduct
from .inputs import Data, DummyData, Input
from .layer import Layer
from .losses import (
    ContrastiveLoss,
    EuclideanLoss,
    HingeLoss,
    SigmoidCrossEntropyLoss,
    Softmax,
    SoftmaxWithLoss,
)
from .lrn import LRN
from .pooling import SPP, Pooling
from .shaping import Concat, Crop, Flatten, Reshape, Silence, Slice, Split, Tile

__all__ = ["LAYERS", "Layer"]

LAYERS: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        AbsVal,
        Accuracy,
        ArgMax,
        BatchNorm,
        Bias,
        Concat,
        ContrastiveLoss,
        Convolution,
        Crop,
        Data,
        Deconvolution,
        Dropout,
        DummyData,
        Eltwise,
        ELU,
        EuclideanLoss,
        Exp,
        Flatten,
        HingeLoss,
        InnerProduct,
        Input,
        Log,
        LRN,
        Pooling,
        Power,
        PReLU,
        Reduction,
        ReLU,
        Reshape,
        Scale,
        Sigmoid,
        SigmoidCrossEntropyLoss,
        Silence,
        Slice,
        Softmax,
        SoftmaxWithLoss,
        Split,
        SPP,
        TanH,
        Tile,
    )
} | dict.fromkeys(("HDF5Data", "ImageData", "MemoryData"), Data)
"""The layer classes by their types in a prototxt."""
