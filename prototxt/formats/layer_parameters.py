"""The parameter messages of layer types, declared with the fields that this package uses.

The classes are built at run time; see `descriptors.py`. The declarations name the types for code and type checkers. An
enum's values are numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import Message

from .descriptors import built

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer as Messages
    from google.protobuf.internal.containers import RepeatedScalarFieldContainer as Scalars


@built
class BlobShape(Message):
    """The axes of a blob."""

    dim: Scalars[int]


@built
class FillerParameter(Message):
    """The initial values of weights."""

    type: str
    value: float
    min: float
    max: float
    mean: float
    std: float
    sparse: int
    variance_norm: int


@built
class TransformationParameter(Message):
    """The transformation of a data layer's images."""

    scale: float
    mirror: bool
    crop_size: int
    mean_file: str
    mean_value: Scalars[float]
    force_color: bool
    force_gray: bool


@built
class LossParameter(Message):
    """The label that a loss ignores, and its normalisation."""

    ignore_label: int
    normalize: bool
    normalization: int


@built
class AccuracyParameter(Message):
    """Of an Accuracy."""

    top_k: int
    axis: int
    ignore_label: int


@built
class ArgMaxParameter(Message):
    """Of an ArgMax."""

    out_max_val: bool
    top_k: int
    axis: int


@built
class BatchNormParameter(Message):
    """Of a BatchNorm."""

    use_global_stats: bool
    moving_average_fraction: float
    eps: float


@built
class BiasParameter(Message):
    """Of a Bias."""

    axis: int
    num_axes: int
    filler: FillerParameter


@built
class ConcatParameter(Message):
    """Of a Concat."""

    axis: int
    concat_dim: int


@built
class ContrastiveLossParameter(Message):
    """Of a ContrastiveLoss."""

    margin: float
    legacy_version: bool


@built
class ConvolutionParameter(Message):
    """Of a Convolution or a Deconvolution."""

    num_output: int
    bias_term: bool
    pad: Scalars[int]
    kernel_size: Scalars[int]
    stride: Scalars[int]
    dilation: Scalars[int]
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    group: int
    axis: int
    weight_filler: FillerParameter
    bias_filler: FillerParameter


@built
class CropParameter(Message):
    """Of a Crop."""

    axis: int
    offset: Scalars[int]


@built
class DataParameter(Message):
    """Of a Data layer: its LMDB."""

    source: str
    batch_size: int
    backend: int
    prefetch: int


@built
class DropoutParameter(Message):
    """Of a Dropout."""

    dropout_ratio: float


@built
class DummyDataParameter(Message):
    """Of a DummyData."""

    data_filler: Messages[FillerParameter]
    shape: Messages[BlobShape]
    num: Scalars[int]
    channels: Scalars[int]
    height: Scalars[int]
    width: Scalars[int]


@built
class EltwiseParameter(Message):
    """Of an Eltwise."""

    operation: int
    coeff: Scalars[float]


@built
class ELUParameter(Message):
    """Of an ELU."""

    alpha: float


@built
class ExpParameter(Message):
    """Of an Exp."""

    base: float
    scale: float
    shift: float


@built
class FlattenParameter(Message):
    """Of a Flatten."""

    axis: int
    end_axis: int


@built
class HDF5DataParameter(Message):
    """Of an HDF5Data: the list of its files."""

    source: str
    batch_size: int
    shuffle: bool


@built
class HingeLossParameter(Message):
    """Of a HingeLoss."""

    norm: int


@built
class ImageDataParameter(Message):
    """Of an ImageData: the list of its images."""

    source: str
    batch_size: int
    rand_skip: int
    shuffle: bool
    new_height: int
    new_width: int
    is_color: bool
    root_folder: str


@built
class InnerProductParameter(Message):
    """Of an InnerProduct."""

    num_output: int
    bias_term: bool
    weight_filler: FillerParameter
    bias_filler: FillerParameter
    axis: int
    transpose: bool


@built
class InputParameter(Message):
    """Of an Input."""

    shape: Messages[BlobShape]


@built
class LogParameter(Message):
    """Of a Log."""

    base: float
    scale: float
    shift: float


@built
class LRNParameter(Message):
    """Of an LRN."""

    local_size: int
    alpha: float
    beta: float
    k: float
    norm_region: int


@built
class MemoryDataParameter(Message):
    """Of a MemoryData: the shape of its batches."""

    batch_size: int
    channels: int
    height: int
    width: int


@built
class PoolingParameter(Message):
    """Of a Pooling."""

    pool: int
    kernel_size: int
    stride: int
    pad: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    global_pooling: bool
    round_mode: int


@built
class PowerParameter(Message):
    """Of a Power."""

    power: float
    scale: float
    shift: float


@built
class PReLUParameter(Message):
    """Of a PReLU."""

    filler: FillerParameter
    channel_shared: bool


@built
class PythonParameter(Message):
    """Of a Python: the class that computes it, and that class's own settings."""

    module: str
    layer: str
    param_str: str


@built
class ReductionParameter(Message):
    """Of a Reduction."""

    operation: int
    axis: int
    coeff: float


@built
class ReLUParameter(Message):
    """Of a ReLU."""

    negative_slope: float


@built
class ReshapeParameter(Message):
    """Of a Reshape."""

    shape: BlobShape
    axis: int
    num_axes: int


@built
class ScaleParameter(Message):
    """Of a Scale."""

    axis: int
    num_axes: int
    filler: FillerParameter
    bias_term: bool
    bias_filler: FillerParameter


@built
class SliceParameter(Message):
    """Of a Slice."""

    axis: int
    slice_dim: int
    slice_point: Scalars[int]


@built
class SoftmaxParameter(Message):
    """Of a Softmax or a SoftmaxWithLoss."""

    axis: int


@built
class SPPParameter(Message):
    """Of an SPP."""

    pyramid_height: int
    pool: int


@built
class TileParameter(Message):
    """Of a Tile."""

    axis: int
    tiles: int
