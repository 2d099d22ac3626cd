"""Caffe's layers as short calls: what a topology is written in.

A layer made here carries its geometry; how it learns (`param_specs.py`) is set afterwards, by the layer's name.
"""

from collections.abc import Sequence
from typing import Any

from emotiw.prototxt.formats.messages import LayerParameter

TEST_BATCH = 20  # the authors' fine-tuning net


def data(phase: str, crop: int, batch_size: int) -> Any:
    """Return the data layer of a phase; its set is still unnamed, see `surgery.use_set`."""
    split = {"TRAIN": "train", "TEST": "val"}[phase]
    return LayerParameter(
        name="data",
        type="Data",
        top=["data", "label"],
        include=[{"phase": phase}],
        transform_param={"mirror": phase == "TRAIN", "crop_size": crop, "mean_file": "mean.binaryproto"},
        data_param={"source": f"{split}_lmdb", "batch_size": batch_size, "backend": "LMDB"},
    )


def convolution(name: str, relu: str, bottom: str, num_output: int, kernel_size: int, **geometry: int) -> list[Any]:
    """Return a convolution and its ReLU, named `relu`; `geometry`: stride and pad where they are not 1 and 0."""
    window = {"kernel_size": [kernel_size], **{key: [value] for key, value in geometry.items()}}
    layer = LayerParameter(name=name, type="Convolution", bottom=[bottom], top=[name])
    layer.convolution_param.CopyFrom(type(layer.convolution_param)(num_output=num_output, **window))
    return [layer, in_place("ReLU", relu, name)]


def inner_product(name: str, bottom: str, num_output: int) -> Any:
    """Return a fully connected layer."""
    return LayerParameter(
        name=name, type="InnerProduct", bottom=[bottom], top=[name], inner_product_param={"num_output": num_output}
    )


def in_place(kind: str, name: str, blob: str) -> Any:
    """Return a layer that changes `blob` in place."""
    return LayerParameter(name=name, type=kind, bottom=[blob], top=[blob])


def dropout(name: str, blob: str, ratio: float) -> Any:
    """Return a dropout in place; `ratio` is the share of values that are dropped."""
    layer = in_place("Dropout", name, blob)
    layer.dropout_param.dropout_ratio = ratio
    return layer


def pool(name: str, bottom: str, kind: str, kernel_size: int, stride: int, **pad: int) -> Any:
    """Return a pooling, `kind` being MAX or AVE; Caffe rounds its output's size up."""
    window = {"pool": kind, "kernel_size": kernel_size, "stride": stride, **pad}
    return LayerParameter(name=name, type="Pooling", bottom=[bottom], top=[name], pooling_param=window)


def lrn(name: str, bottom: str, alpha: float, **k: float) -> Any:
    """Return a normalisation across 5 channels, beta 0.75; `k` where it is not Caffe's 1."""
    return LayerParameter(
        name=name,
        type="LRN",
        bottom=[bottom],
        top=[name],
        lrn_param={"local_size": 5, "alpha": alpha, "beta": 0.75, **k},
    )


def concat(name: str, bottoms: Sequence[str]) -> Any:
    """Return the bottoms' channels one after the other."""
    return LayerParameter(name=name, type="Concat", bottom=bottoms, top=[name])


def accuracy(name: str, scores: str) -> Any:
    """Return the share of right answers, told in the TEST phase."""
    return LayerParameter(name=name, type="Accuracy", bottom=[scores, "label"], top=[name], include=[{"phase": "TEST"}])


def loss(name: str, top: str, scores: str, **weight: Sequence[float]) -> Any:
    """Return the cross-entropy; `loss_weight` where it is not 1."""
    return LayerParameter(name=name, type="SoftmaxWithLoss", bottom=[scores, "label"], top=[top], **weight)
