"""Weights to start a stage from, held against its net before Caffe copies them by layer name."""

from pathlib import Path
from typing import Any

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.messages import PackedNet, read_binary
from emotiw.prototxt.shapes import shapes
from emotiw.prototxt.surgery import classifiers, name_anew
from emotiw.prototxt.weight_transfer import Copy, compare


def fit(train_val: Any, weights: Path) -> Copy:
    """Return what Caffe will copy of `weights`; a last layer of another width is named anew in `train_val`.

    Weights of 1000 classes can so start a net of other classes, as by hand in Caffe's fine-tuning example.

    Raises
    ------
    EmotiwError
        Where another layer has the same name and another shape, which is fatal in Caffe, with all such layers; or
        where no layer would be copied, which Caffe does in silence.
    """
    source = read_binary(weights, PackedNet)
    copy = compare(source, shapes(train_val)[1])
    if renamed := copy.misfits.keys() & classifiers(train_val):
        name_anew(train_val, renamed)
        copy = compare(source, shapes(train_val)[1])
    if copy.misfits:
        misfits = "; ".join(f"{layer} is {words}" for layer, words in copy.misfits.items())
        raise EmotiwError(f"{weights} does not fit {train_val.name}: {misfits}: give the weights of a net like it")
    if not copy.copied:
        raise EmotiwError(f"{weights} has no layer of {train_val.name}: give the weights of a net like it")
    return copy
