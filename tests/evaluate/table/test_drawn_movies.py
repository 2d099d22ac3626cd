"""From drawn movies to the table with the real Caffe: resampling by movie, and no published figures."""

import csv

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.archives import as_sfew
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.evaluate.scores import read_scores

NET, MAPPED = "vgg_s_small", ("cyclic_lbp", "lbp")


@pytest.mark.caffe
def test_movies_are_resampled_and_not_compared_with_published(caffe, tmp_path, capsys):
    draw_expressions(tmp_path / "drawn", 16, 1, seed=1)
    as_sfew(tmp_path / "drawn", tmp_path / "SFEW_2.0")
    made, runs = tmp_path / "movies", str(tmp_path / "runs")
    sizes = ["--labels", "emotions", "--size", "64", "-r", "rgb", *MAPPED, "--dataset", "Sfew 2.0"]
    assert main(["prepare", str(tmp_path / "SFEW_2.0"), "-o", str(made), *sizes]) == 0
    for name in ("rgb", *MAPPED):
        train = ["finetune", f"{NET}-{name}", "--set", str(made), "-o", runs, "--from", "scratch", "--iterations", "3"]
        assert main(train) == 0
        assert main(["evaluate", f"{runs}/{NET}-{name}/finetune", "--set", str(made)]) == 0
    scores = read_scores(tmp_path / f"runs/{NET}-rgb/finetune/scores_val.csv")
    manifest = {row["path"]: row for row in open_set(made).manifest}
    assert scores.groups == tuple(manifest[path]["group"] for path in scores.paths)
    movies = sorted(set(scores.groups))
    assert movies == ["Actor0009", "Actor0010", "Actor0011", "Actor0012"]
    capsys.readouterr()
    assert main(["table", runs, "-o", str(tmp_path / "table")]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[:3] == [
        "Set movies: SFEW 2.0, DRAWN, no photographs: not comparable with published figures.",
        "Accuracy in % on 28 val images of 4 groups, 1 crop; a constant guess of the commonest class: 14.29%.",
        "Trained from scratch for 3 iterations, seed 1, by caffe.",
    ]
    assert "95 % intervals: bootstrap of the 4 groups of the 28 images, such as Actor00" in text
    assert f"| {NET}: cyclic_lbp - rgb " in text
    assert f"| {NET}: lbp - rgb " in text
    assert "and a paired bootstrap of groups (the larger p counts), corrected by Holm for 3 comp" in text
    assert f"Best representation of {NET}: no difference shown" in text  # four movies cannot show one: 2 / 2 ** 4 > 5 %
    for said in ("51.75", "within", "in the paper", "engine"):
        assert said not in text
    with (tmp_path / "table/table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["drawn"], row["dataset"], row["groups"]) for row in rows} == {("True", "SFEW 2.0", "4")}
    assert {row["interval"] for row in rows} == {"Clopper-Pearson"}  # of four movies
