"""One class a layer type of Caffe: shapes, what it learns, and its forward pass in plain torch."""

from collections.abc import Mapping

from .accuracy import Accuracy
from .activations import Dropout, Power, ReLU, Sigmoid, TanH
from .convolution import Convolution, Deconvolution
from .inner_product import InnerProduct
from .inputs import Data, DummyData, Input
from .layer import Layer
from .losses import EuclideanLoss, Softmax, SoftmaxWithLoss
from .lrn import LRN
from .pooling import Pooling

LAYERS: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        Accuracy,
        Convolution,
        Data,
        Deconvolution,
        Dropout,
        DummyData,
        EuclideanLoss,
        InnerProduct,
        Input,
        LRN,
        Pooling,
        Power,
        ReLU,
        Sigmoid,
        Softmax,
        SoftmaxWithLoss,
        TanH,
    )
} | {"MemoryData": Data}
"""By their names in a prototxt."""
