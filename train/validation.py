"""How well a snapshot does on the validation split, by our own scores.

Caffe's own figure is a mean over batches, which is wrong where batches do not divide the set, and counts NaN as right.
"""

from pathlib import Path

import numpy as np

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.engine.base import Engine
from emotiw.engine.inference import posteriors
from emotiw.engine.preprocessing import MEAN_RULES, net_inputs
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.surgery import crop_size

from .run_folder import Run

# So many images at the most, spread over the split: all of CASIA's would take minutes at every snapshot.
_MOST = 1000


def validation_accuracy(run: Run, prepared: PreparedSet, engine: Engine, model: Path) -> float | None:
    """Return the share of validation images whose centre crop `model` names rightly; None without such a split."""
    if not prepared.count("val"):
        return None
    mean = MEAN_RULES["crop"](read_mean(run.folder / "mean.binaryproto"), crop_size(run.train_val()))
    records = prepared.records(run.facts().representation, "val", _MOST)
    images = ((record.label, [net_inputs(record.blob, mean)]) for record in records)
    with engine.scorer(run.folder / "deploy.prototxt", model) as scorer:
        right = [int(scores.argmax()) == label for label, (scores,) in posteriors([scorer.scores], images)]
    return float(np.mean(right))
