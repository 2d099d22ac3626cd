"""Digests of LMDBs: differences that they detect and that they ignore."""

import lmdb
import numpy as np
import pytest

from emotiw.errors import EmotiwError
from emotiw.prototxt.formats.datum import encode, label_of
from emotiw.prototxt.formats.lmdb_digest import content_digest, labels, labels_digest, pairs_digest
from emotiw.prototxt.formats.messages import Datum

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def write(folder, records, **how):
    """Write an LMDB with a transaction for each record: another order makes other pages."""
    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 20, **how) as environment:
        for key, value in records:
            with environment.begin(write=True) as transaction:
                transaction.put(key, value)
    return folder


@pytest.mark.parametrize("label", [0, 6, 300, 10574, -1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("store", ["raw", "png"])
def test_the_label_of_a_datum(label, store):
    assert label_of(memoryview(encode(PICTURE, label, store).datum)) == label


def test_labels_of_other_datums_than_ours():
    floats = Datum(channels=1, height=1, width=2, float_data=[1, 2], label=3)
    for datum in (floats, Datum(label=4), Datum(data=b"", label=5, encoded=True), Datum()):
        assert label_of(datum.SerializeToString()) == datum.label
    label_last_wins = Datum(label=2).SerializeToString() + Datum(label=7).SerializeToString()
    assert label_of(label_last_wins) == Datum.FromString(label_last_wins).label == 7


@pytest.mark.parametrize("damaged", [b"\xff\xff", b"\x22\x05abc", b"\x0b", b"\x28", b"\x80" * 11])
def test_bytes_that_are_not_a_datum_have_no_label(damaged):
    with pytest.raises(EmotiwError, match="not a Caffe Datum"):
        label_of(damaged)


def test_contents_are_equal_whatever_the_pages(tmp_path):
    records = [(b"%08d_%d.png" % (k, k), encode(PICTURE + k, k % 7, "raw").datum) for k in range(50)]
    one, other = write(tmp_path / "one", records), write(tmp_path / "other", records[::-1])
    assert (one / "data.mdb").read_bytes() != (other / "data.mdb").read_bytes()
    assert content_digest(one) == content_digest(other)
    assert labels_digest(one) == pairs_digest([(b"%d.png" % k, k % 7) for k in range(50)])
    assert sorted(labels(one)) == sorted((b"%d.png" % k, k % 7) for k in range(50))
    changed = [(key, value[:30] + bytes([value[30] ^ 1]) + value[31:]) for key, value in records]
    pixels = write(tmp_path / "pixels", changed)
    assert content_digest(pixels) != content_digest(one)
    assert labels_digest(pixels) == labels_digest(one)
    relabelled = [(records[0][0], encode(PICTURE, 6, "raw").datum), *records[1:]]
    assert labels_digest(write(tmp_path / "labels", relabelled)) != labels_digest(one)


def test_keys_and_values_cannot_be_shifted(tmp_path):
    one, other = write(tmp_path / "one", [(b"ab", b"c")]), write(tmp_path / "other", [(b"a", b"bc")])
    assert content_digest(one) != content_digest(other)
