import hashlib
from itertools import combinations

import numpy as np
import ot
import pytest

from emotiw.lbp_mapping import derivation
from emotiw.lbp_mapping.derivation import transport_differences
from emotiw.lbp_mapping.distance import AUTHORS, DISTANCES, bit_vectors, emd, matrix

# The authors' matrices: sum of all entries, and sha256 of the uint8 array.
KNOWN = {
    "lbp": (583440, "ba6840373cd2f7c0b58e26723006497de53ccbfdde8512639251f9c24de660a1"),
    "cyclic_lbp": (451884, "e5b3f26fe011fcf7ae374f50736f5e5d932cf50328781ce9e198cddd04de3e50"),
}


def test_bits_are_the_neighbours_in_order():
    assert bit_vectors()[[1, 128, 5]].tolist() == [[1] + [0] * 7, [0] * 7 + [1], [1, 0, 1] + [0] * 5]
    assert np.array_equal(bit_vectors() @ 2 ** np.arange(8), np.arange(256))


def test_emd_moves_earth():
    x, y = np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1])
    assert emd(x, y) == 1 + 1 + 1  # one unit, three places
    assert emd(x, np.zeros(4, int)) == 1 + 2 + 2 + 2  # missing mass costs its distance to the end


@pytest.mark.parametrize("mapping", AUTHORS)
def test_the_authors_matrices(mapping):
    D = matrix(mapping)
    total, sha256 = KNOWN[mapping]
    assert (D.shape, D.dtype, int(D.sum())) == ((256, 256), np.uint8, total)
    assert hashlib.sha256(D.tobytes()).hexdigest() == sha256


@pytest.mark.parametrize("mapping", DISTANCES)
def test_matrices_are_symmetric_and_zero_on_the_diagonal(mapping):
    D = matrix(mapping)
    assert np.array_equal(D, D.T)
    assert not D.diagonal().any()


def test_hand_values():
    regular, cyclic = matrix("lbp"), matrix("cyclic_lbp")
    powers = 2 ** np.arange(8)
    assert regular[0, powers].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert cyclic[0, powers].tolist() == [2, 3, 4, 5, 4, 3, 2, 1]
    pairs = {(1, 128): (7, 1), (3, 192): (12, 2), (85, 170): (4, 4), (0, 255): (36, 36)}
    assert {pair: (regular[pair], cyclic[pair]) for pair in pairs} == pairs
    assert regular.max() == cyclic.max() == 36


def test_the_cyclic_distance_is_not_a_metric():
    D = matrix("cyclic_lbp").astype(int)
    assert (D == 0).sum() - 256 == 2 * 56
    assert all(D[pair] == 0 for pair in [(1, 64), (2, 32), (3, 96), (4, 16)])
    assert np.any(D[:, None, :] > D[:, :, None] + D[None, :, :])
    regular = matrix("lbp").astype(int)
    assert not np.any(regular[:, None, :] > regular[:, :, None] + regular[None, :, :])


def test_hamming_is_the_popcount_of_the_difference():
    expected = [[(i ^ j).bit_count() for j in range(256)] for i in range(256)]
    assert matrix("hamming_lbp").tolist() == expected


@pytest.mark.parametrize("mapping", AUTHORS)
def test_all_equal_masses_are_moved_optimally(mapping):
    assert transport_differences(mapping) == (6307, 0)


def test_a_wrong_distance_would_be_noticed(monkeypatch):
    monkeypatch.setattr(derivation, "matrix", lambda mapping: matrix("hamming_lbp"))
    assert derivation.transport_differences("lbp")[1] > 0


def test_pots_linear_programme_agrees():
    cost = np.abs(np.subtract.outer(np.arange(8.0), np.arange(8.0)))
    codes = [code for code in range(256) if code.bit_count() == 3]
    bits, D = bit_vectors() / 3, matrix("lbp")
    for i, j in list(combinations(codes, 2))[::50]:
        assert 3 * ot.emd2(bits[i], bits[j], cost) == pytest.approx(D[i, j])
