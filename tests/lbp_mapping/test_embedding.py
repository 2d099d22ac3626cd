import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from emotiw.lbp_mapping.derivation import ANCHORS, colours, derive, projected_bits
from emotiw.lbp_mapping.distance import bit_vectors, matrix
from emotiw.lbp_mapping.embedding import classical_mds, nonmetric_mds
from emotiw.lbp_mapping.tables import palette, shipped


def cloud(n=40, dimensions=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dimensions)) * [3, 2, 1][:dimensions]


def test_classical_scaling_is_principal_component_analysis():
    X = cloud()
    centred = X - X.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    scores = centred @ axes.T
    Y = classical_mds(squareform(pdist(X)))
    assert np.allclose(np.abs(Y), np.abs(scores), atol=1e-8)
    assert np.allclose(pdist(Y), pdist(X))


def test_nonmetric_scaling_keeps_the_order_of_distances():
    X = cloud(20)
    order = squareform(pdist(X) ** 3)
    embedding = nonmetric_mds(order, X + 0.1 * cloud(20, seed=1))
    assert embedding.stress < 0.01
    assert pdist(embedding.points).max() == pytest.approx(order.max())
    assert np.allclose(embedding.points.mean(axis=0), 0, atol=1e-9 * order.max())
    covariance = embedding.points.T @ embedding.points
    assert np.allclose(covariance, np.diag(covariance.diagonal()), atol=1e-9 * covariance.max())
    assert np.all(np.diff(covariance.diagonal()) <= 0)


def test_a_start_in_the_right_order_takes_no_iterations():
    X = cloud(10)
    embedding = nonmetric_mds(squareform(pdist(X)), X)
    assert (embedding.iterations, embedding.stress) == (0, 0)


# The authors' tables follow from the distances in this many iterations, down to this stress.
@pytest.mark.parametrize(
    ("mapping", "iterations", "stress"),
    [("lbp", 60, 0.0226353), ("cyclic_lbp", 41, 0.0851643), ("hamming_lbp", 85, 0.2065910)],
)
def test_all_256_derived_rows_equal_the_shipped_table(mapping, iterations, stress):
    derivation = derive(mapping)
    assert derivation.iterations == iterations
    assert derivation.stress == pytest.approx(stress, abs=1e-7)
    assert np.array_equal(derivation.table, shipped(mapping))


@pytest.mark.parametrize("mapping", ["lbp", "cyclic_lbp", "hamming_lbp"])
def test_derivation_does_not_depend_on_rounding_errors(mapping, monkeypatch):
    from emotiw.lbp_mapping import derivation

    def noisy(start):
        return lambda *arguments: start(*arguments) + 1e-9 * np.random.default_rng(1).standard_normal((256, 3))

    monkeypatch.setattr(derivation, "classical_mds", noisy(classical_mds))
    monkeypatch.setattr(derivation, "projected_bits", noisy(projected_bits))
    assert np.array_equal(derive(mapping).table, shipped(mapping))


def test_hammings_start_does_not_depend_on_rounding_errors():
    """Its three directions are well conditioned; else the rounding errors of a BLAS would determine the last one."""
    moved = np.linalg.qr(np.sin(np.arange(1.0, 25.0) ** 1.5 + 1e-12).reshape(8, 3))[0]
    np.testing.assert_allclose((bit_vectors() - 0.5) @ moved, projected_bits(), atol=1e-9)


@pytest.mark.parametrize("kernel", ["Prescott", "Haswell"])
def test_the_tables_do_not_depend_on_the_processor(kernel):
    """OPENBLAS_CORETYPE makes OpenBLAS on x86 use the kernels of another processor, which round differently."""
    derived = subprocess.run(
        [sys.executable, "-P", "-m", "emotiw", "map", "--derive"],
        env={**os.environ, "OPENBLAS_CORETYPE": kernel},
        capture_output=True,
        text=True,
    )
    assert derived.stdout.count("256 of 256 rows equal the shipped table") == 3, derived.stdout + derived.stderr


def test_scaling_has_one_offset_and_one_factor():
    assert colours(np.array([[-2.0, 0, 1], [2, 0, -1]])).tolist() == [[0, 128, 191], [255, 128, 64]]


@pytest.mark.parametrize("mapping", ANCHORS)
def test_shipped_tables(mapping):
    table = shipped(mapping)
    assert (table.shape, table.dtype, table.min(), table.max()) == ((256, 3), np.uint8, table.min(), 255)
    assert {code: tuple(table[code]) for code in ANCHORS[mapping]} == ANCHORS[mapping]
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


@pytest.mark.parametrize(
    ("mapping", "bands"),
    [("lbp", [(0, 255), (86, 169), (103, 152)]), ("cyclic_lbp", [(0, 255), (83, 174), (76, 165)])],
)
def test_the_authors_bands(mapping, bands):
    table = shipped(mapping)
    assert list(zip(table.min(axis=0).tolist(), table.max(axis=0).tolist(), strict=True)) == bands


def test_hamming_gives_256_colours_in_the_order_of_distances():
    assert len(np.unique(shipped("hamming_lbp"), axis=0)) == 256
    near = matrix("hamming_lbp") == 1
    d = squareform(pdist(shipped("hamming_lbp").astype(float)))
    assert d[near].mean() < d[matrix("hamming_lbp") == 4].mean() < d[matrix("hamming_lbp") == 8].mean()


def test_saturation():
    assert np.array_equal(palette("lbp")[255], shipped("lbp")[254])
    assert np.array_equal(palette("cyclic_lbp")[255], shipped("cyclic_lbp")[254])
    assert np.array_equal(palette("hamming_lbp"), shipped("hamming_lbp"))
    assert np.array_equal(palette("lbp")[:255], shipped("lbp")[:255])


def test_no_such_table():
    with pytest.raises(ValueError, match="rgb: no such table; there are lbp, cyclic_lbp, hamming_lbp"):
        shipped("rgb")
