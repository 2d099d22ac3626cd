"""Runs with their own names in a table: one net and representation may have several rows."""

import csv
import json
import shutil

import pytest

from emotiw.__main__ import main
from emotiw.inputs import unsealed

pytestmark = pytest.mark.caffe


@pytest.fixture
def several(runs, tmp_path):
    """RUNS of one net and representation under three names; one was trained with its own settings."""
    for name, settings in (("first", ""), ("second", "base_lr 0.004 -> 0.01"), ("vgg_s_small-rgb", "")):
        folder = shutil.copytree(runs / "vgg_s_small-rgb/finetune", tmp_path / "runs" / name / "finetune")
        facts = json.loads((folder / "run.json").read_text()) | {"row": name, "settings": settings}
        scored = json.loads((folder / "scores_val.json").read_text()) | {"inputs": []}  # of the unchanged run
        for path, values in ((folder / "run.json", facts), (folder / "scores_val.json", scored)):
            path.write_text(json.dumps(unsealed(values)))
    return tmp_path / "runs"


def test_each_has_its_own_line_and_the_best_is_marked_as_chosen(several, tmp_path, capsys):
    assert main(["table", str(several), "-o", str(tmp_path / "table")]) == 0
    printed = capsys.readouterr().out
    for name in ("first", "second", "vgg_s_small-rgb"):
        assert f"\n| {name} " in printed
    assert "second (vgg_s_small on rgb) was trained with its own settings: base_lr 0.004 -> 0.01.\n" in printed
    assert printed.count("its own settings") == 1
    assert "Best of the 3 rows of vgg_s_small on rgb, chosen on val: first and second and vgg_s_small-rgb (" in printed
    assert "The choice makes its figure on val too high.\n" in printed
    with (tmp_path / "table/table.csv").open(newline="") as file:
        lines = {row["name"]: row for row in csv.DictReader(file)}
    assert lines["first"]["weight"] != ""


def test_equal_settings_of_several_rows_are_one_note(several, tmp_path, capsys):
    path = several / "first/finetune/run.json"
    path.write_text(json.dumps(unsealed(json.loads(path.read_text()) | {"settings": "base_lr 0.004 -> 0.01"})))
    assert main(["table", str(several), "-o", str(tmp_path / "table")]) == 0
    words = (
        "first (vgg_s_small on rgb), second (vgg_s_small on rgb) were trained with their own settings: base_lr 0.004"
    )
    assert f"\n{words} -> 0.01.\n" in capsys.readouterr().out


def test_weights_of_an_ensemble_are_found_by_the_runs_names(several, tmp_path, sets, capsys):
    assert main(["table", str(several), "-o", str(tmp_path / "table")]) == 0
    picture = next((sets / "faces/expressions").rglob("*.png"))
    models = [str(several / name / "finetune") for name in ("first", "second", "vgg_s_small-rgb")]
    command = ["predict", str(picture), "--aligned", "--weights", str(tmp_path / "table/table.csv")]
    assert main([*command, "--model", *models]) == 0
    assert "\n  first/finetune" in capsys.readouterr().out
