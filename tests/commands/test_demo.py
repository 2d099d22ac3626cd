"""Real runs of the demo."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.lbp_mapping.representation import PAPER

pytestmark = pytest.mark.caffe


def scores_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and posteriors of a run, read without our code."""
    with (folder / "finetune/scores_val.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([int(row[2]) for row in rows]), np.array([row[3:] for row in rows], float)


def check_table(output: Path, printed: str) -> list[float]:
    """Check the printed table against the score files; return the nets' accuracies."""
    scores = [scores_of(output / "reproduction/runs" / f"vgg_s_small-{representation}") for representation in PAPER]
    accuracies = [float((posteriors.argmax(1) == labels).mean()) for labels, posteriors in scores]
    cells = [f"{accuracy * 100:.2f}" for accuracy in accuracies]
    row = next(line for line in printed.split("\n") if line.startswith("| vgg_s_small"))
    assert re.findall(r"\| ([\d.]+) ", row) == cells
    labels = scores[0][0]
    uniform = np.mean([posteriors for _, posteriors in scores], axis=0)
    assert "ensemble of 5: uniform average" in printed
    uniform_row = next(line for line in printed.split("\n") if "uniform average" in line)
    assert uniform_row.split("|")[2].strip() == f"{(uniform.argmax(1) == labels).mean() * 100:.2f}"
    return accuracies


def test_a_short_demo_goes_the_whole_way_and_is_done_once(tmp_path, capsys):
    output = tmp_path / "demo with a space"
    assert main(["demo", "-o", str(output), "--iterations", "3"]) == 0
    printed = capsys.readouterr().out
    check_table(output, printed)
    assert "\nSet expressions: faces, DRAWN, no photographs: not comparable with published figures.\n" in printed
    assert "\nTrained for 3 iterations, seed 1, by caffe.\n" in printed
    for meaningless in ("51.75", "published (", "within", "engine"):
        assert meaningless not in printed
    assert "such as actor" in printed
    assert printed.count(" - rgb") == 4, "each mapped net is tested against RGB"
    assert "(not RGB" not in printed, "three iterations show nothing"
    report = (output / "reproduction/table_val/report.html").read_text(encoding="utf-8")
    assert report.count("data:image/png") >= 11  # curves and confusions of five runs, the ensemble's, the faces
    assert main(["demo", "-o", str(output), "--iterations", "3"]) == 0
    again = capsys.readouterr().out
    assert "0 of 17 steps to do" in again, "what is done is not done again"
    assert (
        again[again.index("Accuracy") :].split("\ndone")[0] == printed[printed.index("Accuracy") :].split("\ndone")[0]
    )


def test_a_demo_replaces_or_resumes_only_a_like_demo(tmp_path, capsys):
    precious = tmp_path / "thesis.txt"
    precious.write_text("mine")
    assert main(["demo", "-o", str(tmp_path), "--force"]) == 1
    assert precious.read_text() == "mine"
    assert capsys.readouterr().err == (
        f"emotiw: {tmp_path} is not a demo's folder, so it is not replaced: remove it, or name another output\n"
    )
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/demo.txt").write_text("another version")
    assert main(["demo", "-o", str(tmp_path / "demo"), "--iterations", "2"]) == 2
    assert "holds a demo by another version" in capsys.readouterr().err


@pytest.mark.slow
def test_every_net_of_the_demo_beats_the_commonest_class(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0
    accuracies = check_table(tmp_path / "demo", capsys.readouterr().out)
    assert all(accuracy > 1 / 7 for accuracy in accuracies), accuracies
