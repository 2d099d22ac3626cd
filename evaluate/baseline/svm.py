"""A support vector machine, with kernel and C chosen on its training images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotiw.evaluate.cross_validation import folds
from emotiw.json_record import Count, Share

Features = NDArray[np.float32]
Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def _linear(some: Features, others: Features, _gamma: float) -> Array:
    from sklearn.metrics.pairwise import linear_kernel

    return np.asarray(linear_kernel(some, others), np.float64)


def _rbf(some: Features, others: Features, gamma: float) -> Array:
    from sklearn.metrics.pairwise import rbf_kernel

    return np.asarray(rbf_kernel(some, others, gamma), np.float64)


KERNELS: dict[str, Callable[[Features, Features, float], Array]] = {"linear": _linear, "rbf": _rbf}
COSTS = (0.1, 1.0, 10.0, 100.0, 1000.0)
CHOICE_IMAGES = 5_000
"""From more training images a part of about this size is drawn for the choice: its time grows with their square."""


@dataclass(frozen=True)
class Choice:
    """A kernel, its C and gamma, and the accuracy in [0, 1] of `folds` cross-validation on `images` training images.

    `images` is 0 in records of earlier versions, which always took all.
    """

    kernel: str
    C: float
    gamma: float
    folds: Count
    accuracy: Share
    images: Count = 0


def choose(train: Features, labels: Labels, groups: Sequence[str], seed: int = 0) -> Choice | None:
    """Return the kernel and C that are most accurate in cross-validation; at ties the first kernel and smallest C.

    Of more than `CHOICE_IMAGES` images it takes a seeded part with the same shares of the classes and whole groups.

    Parameters
    ----------
    train : (N, D) float32
    labels : (N,) int
    groups
        The group of each image; no group is on both sides of a fold.

    Returns
    -------
    Choice or None
        None if no folds can be made. Gamma is scikit-learn's `scale`: 1 / (D times the variance of all features).
    """
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    if parts := folds(labels, groups, most=-(-len(labels) // CHOICE_IMAGES), seed=seed):
        part = parts[0][1]
        train, labels, groups = train[part], labels[part], [groups[k] for k in part] if groups else groups
    drawn = folds(labels, groups, seed=seed)
    if not drawn:
        return None
    spread = float(train.shape[1] * train.var(dtype=np.float64))
    gamma = 1 / spread if spread else 1.0
    found = []
    for name, kernel in KERNELS.items():
        # Compute each kernel's matrix only once for all folds and C.
        search = GridSearchCV(SVC(kernel="precomputed", break_ties=True), {"C": COSTS}, cv=drawn, error_score="raise")
        search.fit(kernel(train, train, gamma), labels)
        found.append(Choice(name, search.best_params_["C"], gamma, len(drawn), float(search.best_score_), len(labels)))
    return max(found, key=lambda choice: choice.accuracy)


def posteriors(choice: Choice, train: Features, labels: Labels, others: Features, classes: int) -> Array:
    """Return the posteriors of other images by a machine fitted on all of `train`.

    Parameters
    ----------
    train, others : (N, D), (M, D) float32
    labels : (N,) int
    classes : int
        The number of classes, C; some may have no training image.

    Returns
    -------
    (M, C) float64
        The softmax of the one-against-rest decision values; 0 for a class without training images. The largest is the
        machine's own prediction. They are not calibrated as probabilities: scikit-learn's own calibration changes the
        predictions.
    """
    from scipy.special import softmax
    from sklearn.svm import SVC

    kernel = KERNELS[choice.kernel]
    machine = SVC(C=choice.C, kernel="precomputed", break_ties=True).fit(kernel(train, train, choice.gamma), labels)
    values = machine.decision_function(kernel(others, train, choice.gamma))
    if values.ndim == 1:  # two classes: one decision value, positive for the second class
        values = np.column_stack([-values, values])
    spread = np.zeros((len(others), classes))
    spread[:, machine.classes_] = softmax(values, axis=1)
    return spread
