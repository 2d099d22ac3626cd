"""The comparison of engines over seeds: statistics by hand, tiny trainings."""

import runpy
from pathlib import Path

import numpy as np
import pytest

SEEDS = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/seeds.py"))


def test_the_interval_is_students():
    low, high = SEEDS["interval"]([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * np.sqrt(2.5 / 5)  # t of 4 degrees of freedom at 97.5 %
    assert (low, high) == pytest.approx((3 - half, 3 + half))


def test_the_table_says_whether_they_overlap():
    text = SEEDS["table"]({"caffe": [50.0, 51.0, 52.0], "torch": [51.0, 51.5, 53.0]})
    assert "| caffe    | 50.00, 51.00, 52.00        | 51.00  | 48.52 - 53.48               |" in text
    assert "The intervals overlap" in text
    assert "do NOT overlap" in SEEDS["table"]({"caffe": [50.0, 51.0, 52.0], "torch": [81.0, 81.5, 83.0]})


@pytest.mark.slow
@pytest.mark.caffe
def test_a_row_by_each_engine(sets, tmp_path):
    for engine in ("caffe", "torch"):
        for _ in range(2):  # the second time it exists
            found = SEEDS["accuracy"](
                tmp_path, "vgg_s_small-rgb", sets / "people", sets / "expressions", engine, seed=1
            )
            assert 0 <= found <= 100
        assert f'"engine": "{engine}"' in (tmp_path / engine / "1/vgg_s_small-rgb/finetune/run.json").read_text()
