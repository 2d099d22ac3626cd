"""The comparison of one training by both engines, with a small net and a few iterations."""

import pytest

from emotiw.__main__ import main as emotiw


@pytest.mark.caffe
def test_a_small_net_learns_along_one_curve(load, sets, tmp_path, capsys):
    drawn, prepared = sets / "faces/expressions", tmp_path / "set"
    command = ["prepare", drawn, "-o", prepared, "--labels", "emotions", "--size", "56", "-r", "rgb", "--val", "0.3"]
    assert emotiw(list(map(str, command))) == 0
    one_curve = load("one_curve")
    capsys.readouterr()
    one_curve.main(["vgg_s_small-rgb", str(prepared), "-o", str(tmp_path / "it"), "--iterations", "12"])
    printed = capsys.readouterr().out
    assert "| iterations   | caffe   | torch   | largest difference of a loss   |" in printed
    head, *lines = (tmp_path / "it/losses.csv").read_text().splitlines()
    assert head == "iteration,caffe,torch"
    assert len(lines) == 12
    pairs = [tuple(map(float, line.split(",")[1:])) for line in lines]
    for k, (theirs, ours) in enumerate(pairs):  # at this rate rounding grows tenfold in two iterations
        assert ours == pytest.approx(theirs, rel=1e-3 if k < 6 else 0.1), pairs
    assert len({theirs for theirs, _ in pairs}) > 6, "it learns"
    assert (tmp_path / "it/one_curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_set_that_would_be_cropped_is_refused(load, sets, tmp_path):
    with pytest.raises(SystemExit, match="prepare it with --size 56"):
        load("one_curve").main(["vgg_s_small-rgb", str(sets / "expressions"), "-o", str(tmp_path / "it")])
