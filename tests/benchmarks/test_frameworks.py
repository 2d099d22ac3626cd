"""The comparison of one face's posteriors by four frameworks, with small nets."""

import pytest


@pytest.mark.caffe
def test_four_frameworks_agree_on_a_face(load, runs, capsys):
    models = [str(runs / row / "finetune") for row in ("vgg_s_small-rgb", "vgg_s_small-cyclic_lbp_r3_t5")]
    load("frameworks").main(models)
    _, _, *lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[1] for row in rows] == ["caffe", "torch", "ONNX Runtime", "OpenCV", "caffe", "torch", "ONNX Runtime"]
    for _, _, *posteriors, difference in rows:
        assert sum(map(float, posteriors)) == pytest.approx(1, abs=1e-5)
        assert difference == "" or float(difference) < 1e-5
    assert len({tuple(row[2:9]) for row in rows}) > 1
