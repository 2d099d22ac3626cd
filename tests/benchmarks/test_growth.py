"""The memory for a set of CASIA-WebFace's size, measured as in the benchmark."""

import sys

import pytest

from emotiw.data_prep.prepared_set import open_set


@pytest.mark.slow
def test_a_hundred_thousand_images_keep_memory_flat(load, tmp_path):
    """Only a row of text for each image may grow (path, class, sha256), never the pixels."""
    growth, peaks = load("growth"), {}
    for count in (10_000, 100_000):
        source, made = growth.records(tmp_path / f"{count}", count), tmp_path / f"set{count}"
        options = ["--labels", "identities", "-r", "rgb", "--size", "32", "--val", "0.1", "--jobs", "2"]
        command = [sys.executable, "-m", "emotiw", "prepare", source, "-o", made, *options]
        peaks[count] = load("programs").Program(command).peak()
        prepared = open_set(made)
        assert (prepared.count("train"), prepared.count("val")) == (0.9 * count, 0.1 * count)
        assert sum(1 for _ in prepared.records("rgb", "val")) == 0.1 * count
    by_image = (peaks[100_000] - peaks[10_000]) / 90_000
    print(f"peak {peaks[10_000] >> 20} MB, then {peaks[100_000] >> 20} MB: {by_image:.0f} bytes an image")
    # A path, a class, a group, a sha256 and their objects are about 1 kB: half a GB for CASIA-WebFace. Their Datums
    # would be 3 kB more here, and 197 kB at 256 x 256.
    assert by_image < 1500
