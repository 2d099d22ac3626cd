"""Loss and accuracy of a snapshot on images of a set, computed from our own scores.

Caffe's own accuracy is a mean over batches, which is wrong if batches do not divide the set, and counts NaN as correct.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.engine.base import Engine
from emotiw.engine.inference import posteriors
from emotiw.engine.preprocessing import input_mean, net_inputs
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.surgery import crop_size, input_transform

from .run_folder import Run

# The largest number of images, spread over the split: all of CASIA's would take minutes at every snapshot.
_MOST = 1000
_LEAST = np.finfo(np.float32).tiny  # the minimum for the logarithm, as in Caffe's SoftmaxWithLoss


@dataclass(frozen=True)
class Validation:
    """Results of a snapshot on centre crops of validation images, and of as many training images.

    Attributes
    ----------
    accuracy, loss
        On the validation split; the loss is the last head's only, without auxiliary heads and weight decay.
    train_accuracy
        On training images, processed as for scoring: without random crops, mirrors or dropout.
    """

    accuracy: float
    loss: float
    train_accuracy: float


def validate(run: Run, prepared: PreparedSet, engine: Engine, model: Path) -> Validation | None:
    """Return the results of `model`, a snapshot of a run; None if the set has no validation split."""
    if not prepared.count("val"):
        return None
    most, train_val = min(_MOST, prepared.count("val")), run.train_val()
    transform = input_transform(train_val, run.folder / "train_val.prototxt")
    mean = input_mean(read_mean(run.folder / "mean.binaryproto"), transform, crop_size(train_val), "crop")
    representation, answers = run.facts().representation, {}
    with engine.scorer(run.folder / "deploy.prototxt", model) as scorer:
        for split in ("val", "train"):
            records = prepared.records(representation, split, most)
            images = ((record.label, [net_inputs(record.blob, mean, scale=transform.scale)]) for record in records)
            answers[split] = [(label, scores) for label, (scores,) in posteriors([scorer.scores], images)]
    loss = np.mean([-np.log(max(scores[label], _LEAST)) for label, scores in answers["val"]])
    return Validation(_accuracy(answers["val"]), float(loss), _accuracy(answers["train"]))


def _accuracy(answers: Sequence[tuple[int, NDArray[np.float64]]]) -> float:
    return float(np.mean([int(scores.argmax()) == label for label, scores in answers]))
