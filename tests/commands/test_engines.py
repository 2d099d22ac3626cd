"""The verbs with `--engine torch`: the same results, with the engine named."""

import argparse
import json
import re
import shutil

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.commands.options import add_engine, engine_flags
from emotiw.engine.settings import EngineSettings
from emotiw.engine.torch.engine import TorchEngine
from emotiw.evaluate.scores import read_scores
from emotiw.train.run_folder import Run

pytestmark = pytest.mark.caffe
TORCH = ["--engine", "torch"]
RUN = "vgg_s_small-rgb/finetune"


@pytest.fixture
def copy(runs, tmp_path):
    return shutil.copytree(runs, tmp_path / "runs")


def test_evaluate_and_table(copy, sets, tmp_path, capsys):
    """A net that Caffe trained and torch scored has the same scores, and the table names both engines."""
    scores = copy / RUN / "scores_val.csv"
    before = read_scores(scores)
    assert main(["evaluate", str(copy / RUN), "--set", str(sets / "expressions"), "--force", *TORCH]) == 0
    np.testing.assert_allclose(read_scores(scores).posteriors, before.posteriors, rtol=0, atol=1e-5)
    assert json.loads(scores.with_suffix(".json").read_text())["engine"] == "torch"
    assert main(["table", str(copy), "-o", str(tmp_path / "table")]) == 0
    text = (tmp_path / "table/table.md").read_text()
    assert re.search(r"^\| vgg_s_small-rgb +\| caffe, scored by torch +\|", text, re.M)
    assert re.search(r"^\| vgg_s_small-cyclic_lbp_r3_t5 +\| caffe +\|", text, re.M)
    assert re.search(r"^\| ensemble of 2: uniform average +\| caffe, scored by torch; caffe +\|", text, re.M)
    assert "caffe, scored by torch" in (tmp_path / "table/report.html").read_text()


def test_predict_and_explain(runs, sets, tmp_path, capsys):
    face = str(next((sets / "faces/expressions").rglob("*.png")))
    found = []
    for engine in ([], TORCH):
        assert main(["predict", face, "--aligned", "--model", str(runs / RUN), "--format", "json", *engine]) == 0
        out, err = capsys.readouterr()
        (posteriors,) = json.loads(out)["pictures"][0]["posteriors"].values()
        found.append(posteriors)
        assert ("torch 2.13" in err) == bool(engine)
    assert found[0].keys() == found[1].keys()
    np.testing.assert_allclose(list(found[0].values()), list(found[1].values()), rtol=0, atol=1e-5)
    png = tmp_path / "explained.png"
    assert main(["explain", face, "--aligned", "--model", str(runs / RUN), "-o", str(png), *TORCH]) == 0
    assert png.stat().st_size > 10_000


def test_a_run_changes_engines_and_says_so(sets, tmp_path, capsys):
    command = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(tmp_path), "--iterations"]
    run = tmp_path / "vgg_s_small-rgb/pretrain"
    assert main([*command, "2", *TORCH]) == 0
    assert ", by torch 2.13" in capsys.readouterr().out
    assert main([*command, "4"]) == 0
    facts = json.loads((run / "run.json").read_text())
    assert facts["engine"] == "torch + caffe"
    assert re.fullmatch(r"2\.13\.0\S* \+ 1\.0\.0", facts["engine_version"])
    assert main([*command, "4", *TORCH]) == 0  # nothing is left to do
    assert json.loads((run / "run.json").read_text()) == facts
    assert main(["evaluate", str(run), "--set", str(sets / "people"), "--split", "train", *TORCH]) == 0


def test_only_engines_that_trained_are_named(sets, tmp_path, monkeypatch):
    command = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(tmp_path), "--iterations"]
    run = Run(tmp_path / "vgg_s_small-rgb/pretrain")
    assert main([*command, "2"]) == 0
    run.model.unlink()
    assert main([*command, "4", *TORCH, "--precision", "tf32", "--gpu", "none"]) == 1  # a CPU has none
    assert run.facts().engine == "caffe"
    # Stopped after its snapshot: torch is named for its part of a run that Caffe finishes.
    train = TorchEngine.train

    def stopped(self, solver, on_progress, *args):
        train(self, solver, on_progress, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(TorchEngine, "train", stopped)
    assert main([*command, "3", *TORCH]) == 130
    assert main([*command, "4"]) == 0
    assert run.facts().engine == "caffe + torch"


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_snapshots_without_run_json_are_neither_resumed_nor_removed(sets, tmp_path, capsys, force):
    command = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(tmp_path), "--iterations", "2"]
    run = Run(tmp_path / "vgg_s_small-rgb/pretrain")
    assert main(command) == 0
    (run.folder / "run.json").unlink()
    run.model.unlink()
    before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    capsys.readouterr()
    assert main([*command, *force]) == 1
    assert capsys.readouterr().err == (
        f"emotiw: {run.folder} is not a run, so it is not replaced: remove it, or name another output\n"
    )
    assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        (["--precision", "bf16"], 2, "emotiw: --precision bf16 needs --engine torch: Caffe computes in float32\n"),
        ([*TORCH, "--caffe", "x"], 2, "emotiw: --caffe x does not apply to --engine torch: leave one out\n"),
        ([*TORCH, "--gpu", "7"], 1, "emotiw: --gpu 7: torch 2.13.0+cpu finds no GPUs here\n"),
        ([*TORCH, "--gpu", "first"], 2, "emotiw: --gpu first: it is 0, or 0,1, or all, or none\n"),
    ],
)
def test_contradictions_are_one_line(sets, tmp_path, capsys, monkeypatch, options, status, line):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.__version__", "2.13.0+cpu")
    command = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(tmp_path), *options]
    assert main(command) == status
    assert capsys.readouterr().err == line
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        (EngineSettings(), ""),
        (EngineSettings(caffe="/some/caffe", gpu="0,1"), "--caffe /some/caffe --gpu 0,1"),
        (EngineSettings("torch"), "--engine torch --precision float32"),
        (EngineSettings("torch", gpu="none", precision="tf32"), "--engine torch --precision tf32 --gpu none"),
    ],
)
def test_the_flags_of_an_engine_open_the_same_one(settings, flags):
    assert engine_flags(settings) == flags.split()
    parser = argparse.ArgumentParser()
    add_engine(parser)
    args = parser.parse_args(flags.split())
    assert EngineSettings(args.engine, args.caffe, args.gpu, args.precision) == settings
