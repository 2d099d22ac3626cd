"""Distances to points in 3-D: multidimensional scaling as MATLAB's `mdscale(D, 3)` does it by default.

Non-metric scaling (Kruskal's stress-1, primary treatment of ties), started from classical scaling.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DIMENSIONS = 3
TOLERANCE = 1e-6  # relative decrease of the stress in one iteration; 1e-4 does not give the authors' tables
FIRST_STEP = 2.0


@dataclass(frozen=True)
class Embedding:
    """Points, and the stress with which they keep the order of the distances.

    Parameters
    ----------
    points : (n, 3) float64
        Centred, on their principal axes; signs are arbitrary.
    iterations : int
        Number of steps taken.
    stress : float
        Kruskal's stress-1.
    """

    points: Floats
    iterations: int
    stress: float


def classical_mds(D: npt.NDArray[np.number], dimensions: int = DIMENSIONS) -> Floats:
    r"""Return classical scaling: the leading eigenvectors of B times the roots of their eigenvalues.

    .. math:: B = -\tfrac{1}{2} J D^{\circ 2} J, \qquad J = I - \tfrac{1}{n} 1 1^T

    where D are the distances. For Euclidean distances this is principal component analysis of the points.

    Parameters
    ----------
    D : (n, n)
        Distances, symmetric.
    dimensions : int
        Number of dimensions of the points.

    Returns
    -------
    (n, dimensions) float64
        Largest eigenvalue first; signs are arbitrary.
    """
    squares = np.asarray(D, np.float64) ** 2
    J = np.eye(len(D)) - 1 / len(D)
    eigenvalues, eigenvectors = np.linalg.eigh(-0.5 * J @ squares @ J)
    leading = slice(-1, -dimensions - 1, -1)
    return np.asarray(eigenvectors[:, leading] * np.sqrt(eigenvalues[leading]))


def nonmetric_mds(D: npt.NDArray[np.number], start: Floats) -> Embedding:
    r"""Find points Y with distances in the order of those of D, by conjugate gradients on the stress.

    .. math:: S(Y) = \sqrt{\sum (d - \hat d)^2 / \sum d^2}

    where d are the distances between the rows of Y and :math:`\hat d`, the disparities, are the isotonic
    regression of d in the order of D. An iteration takes a Polak-Ribiere direction (beta at least 0), searches
    along it by bounded Brent with the disparities **held fixed**, steps, normalises, and only then recomputes d and
    the disparities.

    Parameters
    ----------
    D : (n, n)
        Dissimilarities, symmetric.
    start : (n, 3) float64
        Initial points.

    Returns
    -------
    Embedding
        The points after the first iteration that lowers the stress by less than 1e-6 of its value, or to 0. They are
        not always an optimum.
    """
    from scipy.optimize import minimize_scalar
    from scipy.spatial.distance import pdist, squareform

    dissimilarities = squareform(np.asarray(D, np.float64), checks=False)
    scale = dissimilarities.max()
    Y = _normalised(start, scale)
    disparities = _disparities(dissimilarities, pdist(Y))
    stress = _stress(pdist(Y), disparities)
    gradient = direction = np.zeros_like(Y)
    iterations, fall = 0, np.inf
    while fall >= TOLERANCE * stress > 0:
        previous, gradient = gradient, _gradient(Y, disparities)
        beta = max(0.0, np.sum(gradient * (gradient - previous)) / (np.sum(previous**2) or np.inf))
        direction = -gradient + beta * direction

        def along(t: float, Y: Floats = Y, direction: Floats = direction, fixed: Floats = disparities) -> float:
            return _stress(pdist(Y + t * direction), fixed)

        reach = FIRST_STEP
        while along(reach) < stress:
            reach *= 2
        step = minimize_scalar(along, bounds=(0, reach), method="bounded").x
        Y = _normalised(Y + step * direction, scale)
        disparities = _disparities(dissimilarities, pdist(Y))
        before, stress = stress, _stress(pdist(Y), disparities)
        iterations, fall = iterations + 1, before - stress
    return Embedding(_on_principal_axes(Y), iterations, stress)


def _normalised(Y: Floats, scale: float) -> Floats:
    """Return the points centred, and scaled to the largest distance `scale`."""
    from scipy.spatial.distance import pdist

    Y = Y - Y.mean(axis=0)
    return np.asarray(Y * (scale / pdist(Y).max()))


def _disparities(dissimilarities: Floats, distances: Floats) -> Floats:
    """Return the monotone fit; if dissimilarities tie, the distances order them (primary treatment)."""
    from sklearn.isotonic import isotonic_regression

    order = np.lexsort((distances, dissimilarities))
    disparities = np.empty_like(distances)
    disparities[order] = isotonic_regression(distances[order])
    return disparities


def _stress(d: Floats, disparities: Floats) -> float:
    return float(np.sqrt(np.sum((d - disparities) ** 2) / np.sum(d**2)))


def _gradient(Y: Floats, disparities: Floats) -> Floats:
    """Return the gradient of the stress at Y, with the disparities held fixed."""
    from scipy.spatial.distance import pdist, squareform

    d = pdist(Y)
    residual = d - disparities
    slope = _stress(d, disparities) * (residual / np.sum(residual**2) - d / np.sum(d**2))
    pull = squareform(slope / np.where(d > 0, d, 1.0))  # coincident points have no direction
    return np.asarray(pull.sum(axis=1)[:, None] * Y - pull @ Y)


def _on_principal_axes(Y: Floats) -> Floats:
    Y = Y - Y.mean(axis=0)
    _, _, axes = np.linalg.svd(Y, full_matrices=False)
    return np.asarray(Y @ axes.T)
