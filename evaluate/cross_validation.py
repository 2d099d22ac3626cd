"""Folds for cross-validation: seeded, stratified by class, groups kept together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def folds(
    labels: Indices, groups: Sequence[str] | None = None, most: int = 5, seed: int = 0
) -> list[tuple[Indices, Indices]]:
    """Return (known, held out), the indices of images, for each fold; none if no folds can be made.

    Parameters
    ----------
    labels : (N,) int
        Every fold gets its share of each class.
    groups
        The group of each image, or empty; if several images share one, whole groups are held out.
    most
        The number of folds, if every class has so many images or groups; else the number that the smallest class has.
    seed
        Seed of the random assignment.

    Returns
    -------
    list of pairs of (N_known,) and (N_held_out,) int
        Each image is held out once. Empty if a class has only one image or group, or if all known images of a fold
        would be of one class.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    names = np.unique(np.asarray(groups), return_inverse=True)[1] if groups else np.arange(len(labels))
    count = min(most, *(len(np.unique(names[labels == label])) for label in np.unique(labels)))
    if count < 2:
        return []
    grouped = len(np.unique(names)) < len(names)
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    drawn = list(kind(count, shuffle=True, random_state=seed).split(labels, labels, names if grouped else None))
    return drawn if all(len(np.unique(labels[known])) > 1 for known, _ in drawn) else []
