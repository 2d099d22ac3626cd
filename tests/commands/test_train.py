"""The output of pretrain, finetune, evaluate and table; tests/train and tests/evaluate test their results."""

import shutil

import pytest

from emotiw.__main__ import main
from emotiw.evaluate.scores import read_scores

pytestmark = pytest.mark.caffe


def test_a_stage_first_prints_row_weights_set_and_folder(runs, sets, capsys):
    folder = runs / "vgg_s_small-rgb"
    people, faces = (["--set", str(sets / name), "-o", str(runs)] for name in ("people", "expressions"))
    assert main(["pretrain", "vgg_s_small-rgb", *people, "--iterations", "6", "--seed", "7"]) == 0
    assert main(["finetune", "vgg_s_small-rgb", *faces, "--iterations", "3"]) == 0
    model = folder / "pretrain/model.caffemodel"
    assert capsys.readouterr().out.splitlines() == [
        f"vgg_s_small-rgb, pretrain, from scratch, on {sets}/people, by Caffe 1.0.0 -> {folder}/pretrain",
        "schedule: the rate's step at iteration 300 is not reached, since the last one is 6: it stays 0.01; give steps "
        "by --solver",
        f"model: {model}",
        f"vgg_s_small-rgb, finetune, from {model}, on {sets}/expressions, by Caffe 1.0.0 -> {folder}/finetune",
        "schedule: the rate's step at iteration 240 is not reached, since the last one is 3: it stays 0.004; give "
        "steps by --solver",
        f"model: {folder}/finetune/model.caffemodel",
    ]


def test_evaluate_prints_a_line_a_run(runs, sets, tmp_path, capsys):
    copy = shutil.copytree(runs, tmp_path / "runs")
    folders = [copy / f"vgg_s_small-{name}/finetune" for name in ("rgb", "cyclic_lbp_r3_t5")]
    assert main(["evaluate", *map(str, folders), "--set", str(sets / "expressions"), "--split", "train"]) == 0
    printed = capsys.readouterr().out.splitlines()
    warnings = [line for line in printed if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert all("trained on scored images: of 56 images, 56 in finetune" in line for line in warnings)
    lines = [line for line in printed if line not in warnings]
    for line, folder in zip(lines, folders, strict=True):
        scores = read_scores(folder / "scores_train.csv")
        assert line == (
            f"{folder.parent.name}: accuracy {scores.accuracy:.2%}, "
            f"mean class accuracy {scores.mean_class_accuracy:.2%}, "
            f"on 56 train images (commonest class: 14.29%) -> {folder}/scores_train.csv"
        )
        assert (folder / "scores_val.csv").exists()


def test_debug_shows_where_it_failed(runs, sets):
    from emotiw.errors import EmotiwError

    with pytest.raises(EmotiwError, match="exists already"):
        main(["evaluate", str(runs / "vgg_s_small-rgb/finetune"), "--set", str(sets / "expressions"), "--debug"])


@pytest.mark.caffe
def test_a_missing_gpu_is_refused_before_anything_is_written(sets, tmp_path, capsys):
    """The Caffe of the tests has none; the message is Caffe's."""
    command = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(tmp_path), "--gpu", "all"]
    assert main([*command, "--iterations", "2"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("emotiw: --gpu all: ")
    assert "CPU-only" in line
    assert not list(tmp_path.iterdir())


def test_scoring_takes_no_gpu_of_caffe(runs, sets, tmp_path):
    """Caffe always scores on the CPU."""
    copy = shutil.copytree(runs / "vgg_s_small-rgb/finetune", tmp_path / "RUNS/finetune")
    assert main(["evaluate", str(copy), "--set", str(sets / "expressions"), "--force", "--gpu", "all"]) == 0
