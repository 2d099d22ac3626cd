from pathlib import Path

import pytest

from emotiw.__main__ import main
from emotiw.evaluate.released import stand_in, verify
from emotiw.evaluate.released.catalog import DEPLOY, MEAN, released
from emotiw.prototxt.zoo.model_cards import ORIGINS


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (verify, stand_in):
        monkeypatch.setattr(module, "NET", "vgg_s_small")
    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path / "here"))
    return tmp_path / "here"


def test_the_list_has_all_models_and_their_state(models, capsys):
    assert main(["models", "fetch", "VGG_S_lbp", "VGG_S_cyclic_lbp", "--stand-in"]) == 0
    (models / "VGG_S_cyclic_lbp" / MEAN).unlink()
    capsys.readouterr()
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    rows = dict(line.split(maxsplit=1) for line in out.split("\n\n")[0].splitlines()[2:])
    assert list(rows) == list(released())
    assert rows["VGG_S_lbp"].split() == ["lbp", "3", "MB", "STAND-IN"]
    assert rows["VGG_S_cyclic_lbp"].endswith("STAND-IN, mean.binaryproto is missing")
    assert rows["VGG_S_cyclic_lbp_10"].endswith(" nothing")
    assert ORIGINS["vgg_s"].facts["licence"] in out
    assert str(models) in out
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out == out


def test_verify_checks_the_models_that_are_present(models, capsys):
    assert main(["models", "verify"]) == 1
    assert capsys.readouterr().err == f"emotiw: no released model is in {models}: run emotiw models fetch all\n"
    assert main(["models", "fetch", "VGG_S_lbp", "--stand-in", "--seed", "5"]) == 0
    assert "VGG_S_lbp: STAND-IN, random weights of seed 5 -> " in capsys.readouterr().out
    assert main(["models", "verify"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("VGG_S_lbp: STAND-IN: ")


def test_verify_reports_every_model_and_fails(models, capsys):
    assert main(["models", "fetch", "VGG_S_lbp", "VGG_S_rgb", "--stand-in"]) == 0
    (models / "VGG_S_rgb" / DEPLOY).write_text("<html>")
    capsys.readouterr()
    assert main(["models", "verify"]) == 1
    out, err = capsys.readouterr()
    wrong, mixed, whole = out.splitlines()
    assert wrong.startswith("VGG_S_rgb: WRONG: ")
    assert "deploy.prototxt: is not a prototxt, but a web page" in wrong
    assert "of a STAND-IN among files that are not" in mixed
    assert whole.startswith("VGG_S_lbp: STAND-IN: ")
    assert err == "emotiw: 1 of 2 models are wrong, as listed: run emotiw models fetch --force\n"


@pytest.mark.parametrize("action", ["fetch", "verify"])
def test_another_name_is_a_usage_error(models, capsys, action):
    assert main(["models", action, "VGG_S_lpb"]) == 2
    assert capsys.readouterr().err.startswith("emotiw: no released model 'VGG_S_lpb': there are VGG_S_rgb, VGG_S_lbp,")


@pytest.mark.parametrize("action", ["list", "fetch", "verify"])
def test_every_action_has_help(capsys, action):
    with pytest.raises(SystemExit) as end:
        main(["models", action, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: emotiw models {action}")
