"""Caffe's protobuf messages, and the files that hold them.

The classes are built at run time; see `descriptors.py`. The declarations, with the fields that this package uses, name
the types for code and type checkers. An enum's values are numbers.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from emotiw.errors import EmotiwError
from emotiw.files import whole

from . import layer_parameters
from .descriptors import POOL, built, packed

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer as Messages
    from google.protobuf.internal.containers import RepeatedScalarFieldContainer as Scalars

M = TypeVar("M", bound=Message)

TRAIN, TEST = (POOL.FindEnumTypeByName("caffe.Phase").values_by_name[name].number for name in ("TRAIN", "TEST"))


@built
class BlobProto(Message):
    """Values and their gradients; old files have four axes and no `shape`."""

    shape: layer_parameters.BlobShape
    num: int
    channels: int
    height: int
    width: int
    data: Scalars[float]
    diff: Scalars[float]


@packed("BlobProto")
class PackedBlob(Message):
    """A BlobProto with its values as one string of bytes."""

    shape: layer_parameters.BlobShape
    num: int
    channels: int
    height: int
    width: int
    data: bytes
    double_data: bytes


@built
class BlobProtoVector(Message):
    """Several blobs."""

    blobs: Messages[BlobProto]


@built
class Datum(Message):
    """An image and its label."""

    channels: int
    height: int
    width: int
    data: bytes
    float_data: Scalars[float]
    label: int
    encoded: bool


@built
class NetState(Message):
    """The state to which the rules of layers apply."""

    phase: int
    level: int
    stage: Scalars[str]


@built
class NetStateRule(Message):
    """When a layer is included or excluded."""

    phase: int
    min_level: int
    max_level: int
    stage: Scalars[str]
    not_stage: Scalars[str]


@built
class ParamSpec(Message):
    """The multipliers of a learned blob, and its name if layers share it."""

    name: str
    share_mode: int
    lr_mult: float
    decay_mult: float


@built
class LayerParameter(Message):
    """A layer."""

    name: str
    type: str
    bottom: Scalars[str]
    top: Scalars[str]
    phase: int
    loss_weight: Scalars[float]
    param: Messages[ParamSpec]
    blobs: Messages[BlobProto]
    propagate_down: Scalars[bool]
    include: Messages[NetStateRule]
    exclude: Messages[NetStateRule]
    transform_param: layer_parameters.TransformationParameter
    loss_param: layer_parameters.LossParameter
    accuracy_param: layer_parameters.AccuracyParameter
    argmax_param: layer_parameters.ArgMaxParameter
    batch_norm_param: layer_parameters.BatchNormParameter
    bias_param: layer_parameters.BiasParameter
    concat_param: layer_parameters.ConcatParameter
    contrastive_loss_param: layer_parameters.ContrastiveLossParameter
    convolution_param: layer_parameters.ConvolutionParameter
    crop_param: layer_parameters.CropParameter
    data_param: layer_parameters.DataParameter
    dropout_param: layer_parameters.DropoutParameter
    dummy_data_param: layer_parameters.DummyDataParameter
    eltwise_param: layer_parameters.EltwiseParameter
    elu_param: layer_parameters.ELUParameter
    exp_param: layer_parameters.ExpParameter
    flatten_param: layer_parameters.FlattenParameter
    hdf5_data_param: layer_parameters.HDF5DataParameter
    hinge_loss_param: layer_parameters.HingeLossParameter
    image_data_param: layer_parameters.ImageDataParameter
    inner_product_param: layer_parameters.InnerProductParameter
    input_param: layer_parameters.InputParameter
    log_param: layer_parameters.LogParameter
    lrn_param: layer_parameters.LRNParameter
    memory_data_param: layer_parameters.MemoryDataParameter
    pooling_param: layer_parameters.PoolingParameter
    power_param: layer_parameters.PowerParameter
    prelu_param: layer_parameters.PReLUParameter
    python_param: layer_parameters.PythonParameter
    reduction_param: layer_parameters.ReductionParameter
    relu_param: layer_parameters.ReLUParameter
    reshape_param: layer_parameters.ReshapeParameter
    scale_param: layer_parameters.ScaleParameter
    slice_param: layer_parameters.SliceParameter
    softmax_param: layer_parameters.SoftmaxParameter
    spp_param: layer_parameters.SPPParameter
    tile_param: layer_parameters.TileParameter


@built
class V0LayerParameter(Message):
    """A layer in the format of 2013, without its bottoms and tops; all types share its fields."""

    name: str
    type: str
    pad: int
    blobs: Messages[BlobProto]


@built
class V1LayerParameter(Message):
    """A layer in the format before 2014, whose type is a number; or the bottoms and tops of a V0 `layer`."""

    layer: V0LayerParameter
    bottom: Scalars[str]
    top: Scalars[str]
    name: str
    type: int
    blobs: Messages[BlobProto]
    transform_param: layer_parameters.TransformationParameter


@built
class NetParameter(Message):
    """A net: its layers, in `layer` in the current format, else in `layers`."""

    name: str
    layer: Messages[LayerParameter]
    layers: Messages[V1LayerParameter]
    input: Scalars[str]
    input_dim: Scalars[int]
    input_shape: Messages[layer_parameters.BlobShape]
    force_backward: bool
    state: NetState


@packed("LayerParameter")
class PackedLayer(Message):
    """A LayerParameter with packed blobs."""

    name: str
    type: str
    blobs: Messages[PackedBlob]


@packed("V0LayerParameter")
class PackedV0Layer(Message):
    """A V0LayerParameter with packed blobs."""

    name: str
    type: str
    blobs: Messages[PackedBlob]


@packed("V1LayerParameter")
class PackedV1Layer(Message):
    """A V1LayerParameter with packed blobs."""

    layer: PackedV0Layer
    name: str
    type: int
    blobs: Messages[PackedBlob]


@packed("NetParameter")
class PackedNet(Message):
    """A NetParameter with packed blobs."""

    layer: Messages[PackedLayer]
    layers: Messages[PackedV1Layer]


@built
class SolverParameter(Message):
    """The settings of a training."""

    net: str
    net_param: NetParameter
    train_net: str
    train_net_param: NetParameter
    test_net: Scalars[str]
    test_net_param: Messages[NetParameter]
    train_state: NetState
    test_state: Messages[NetState]
    test_iter: Scalars[int]
    test_interval: int
    test_compute_loss: bool
    test_initialization: bool
    type: str
    solver_type: int
    weights: Scalars[str]
    base_lr: float
    lr_policy: str
    gamma: float
    power: float
    stepsize: int
    stepvalue: Scalars[int]
    max_iter: int
    iter_size: int
    momentum: float
    momentum2: float
    rms_decay: float
    delta: float
    weight_decay: float
    regularization_type: str
    clip_gradients: float
    average_loss: int
    display: int
    snapshot: int
    snapshot_prefix: str
    snapshot_diff: bool
    snapshot_format: int
    snapshot_after_train: bool
    random_seed: int


@built
class SolverState(Message):
    """The state of a training."""

    iter: int
    learned_net: str
    history: Messages[BlobProto]
    current_step: int


@packed("SolverState")
class PackedState(Message):
    """A SolverState with packed blobs."""

    iter: int
    learned_net: str
    history: Messages[PackedBlob]
    current_step: int


AnyBlob = BlobProto | PackedBlob
AnyNet = NetParameter | PackedNet


def parse_text(text: str, kind: type[M], where: str) -> M:
    """Parse a message of class `kind` from prototxt `text`; `where` names it in errors."""
    try:
        return text_format.Parse(text, kind())
    except text_format.ParseError as error:
        what = re.sub(r"^(\d+):(\d+) : ", r"line \1, column \2: ", str(error)).rstrip(".")
        raise EmotiwError(f"{where} is not a {kind.DESCRIPTOR.name} in prototxt format: {what}") from None


def read_text(path: Path, kind: type[M]) -> M:
    """Return the message of class `kind` in the prototxt file `path`."""
    return parse_text(prototxt_of(path), kind, str(path))


def prototxt_of(path: Path) -> str:
    """Return the text of a prototxt file; one that is not UTF-8, such as with comments in GBK, is read as Latin-1.

    Raises
    ------
    EmotiwError
        If the file is no text, or a web page.
    """
    data = path.read_bytes()
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or _BINARY.search(data):
        raise EmotiwError(f"{path} is not a prototxt: it is not text, but {looks(path)}")
    if looks(path) == _PAGE:
        raise EmotiwError(f"{path} is not a prototxt, but {_PAGE}: fetch it again")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # byte by byte, as Caffe reads it


def format_text(message: Message) -> str:
    """Return `message` as prototxt."""
    return text_format.MessageToString(message)


def read_binary(path: Path, kind: type[M]) -> M:
    """Return the message of class `kind` in the binary file `path` (a caffemodel, solverstate or binaryproto)."""
    try:
        return kind.FromString(path.read_bytes())
    except DecodeError:
        raise EmotiwError(
            f"{path} is not a complete {kind.DESCRIPTOR.name} of Caffe, but {looks(path)}: fetch or make it again"
        ) from None


_BINARY = re.compile(rb"[\0-\x08]")
_PAGE = "a web page"
_LOOKS = {b"<!doctype": _PAGE, b"<html": _PAGE, b"<?xml": _PAGE, b"pk\x03\x04": "a zip archive"}


def looks(path: Path) -> str:
    """Return what a wrong file seems to be: a web page, a zip archive, or its number of bytes."""
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    return next((words for begin, words in _LOOKS.items() if head.startswith(begin)), f"{path.stat().st_size} bytes")


def write_binary(path: Path, message: Message) -> None:
    """Write `message` in binary; the file is complete or absent."""
    with whole(path) as temporary:
        temporary.write_bytes(message.SerializeToString())
