"""The marks of a run that follow from its starting weights."""

from dataclasses import replace

import pytest

from emotiw.data_prep.prepared_set import open_set
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions
from emotiw.train.run_folder import Run
from emotiw.train.stage import run_stage

NO = {"pretrain": "snapshot: 2", "finetune": "snapshot: 2"}


@pytest.fixture
def train(sets, tmp_path, drill):
    def carry_out(row, stage="pretrain", weights=None):
        run, over = Run(tmp_path / row.row / stage), "people" if stage == "pretrain" else "expressions"
        run_stage(row, stage, open_set(sets / over), run, drill(), TrainOptions(weights, 4))
        return run

    return carry_out


@pytest.mark.parametrize("name", ["model.caffemodel", "snapshot_iter_2.caffemodel"])
def test_weights_of_another_representation_are_warned_and_marked(train, name, caplog, monkeypatch):
    monkeypatch.setattr("emotiw.train.stage.validate", lambda *_: None)
    start = train(Experiment("vgg_s_small", "rgb", NO))
    run = train(Experiment("vgg_s_small", "cyclic_lbp", NO), "finetune", start.folder / name)
    words = f"warning: vgg_s_small-cyclic_lbp begins with weights of rgb ({start.folder})"
    assert words in caplog.text
    assert run.facts().marks == ["began with weights of rgb"]


def test_marks_of_the_previous_run_are_kept(train, monkeypatch):
    monkeypatch.setattr("emotiw.train.stage.validate", lambda *_: None)
    row = Experiment("vgg_s_small", "rgb", NO)
    start = train(row)
    start.write_facts(replace(start.facts(), resumed=[2]))
    run = train(row, "finetune", start.model)
    assert run.facts().marks == ["pretrain resumed at 2"]
    assert run.facts().faces == "whole"


@pytest.mark.parametrize(("policy", "marks"), [("fixed", []), ("poly", ["resumed at 4"])])
def test_a_rate_by_last_iteration_makes_a_longer_run_another(sets, tmp_path, drill, policy, marks):
    """This holds even if the engine restores its position and random state."""
    row = Experiment("vgg_s_small", "rgb", {"pretrain": f'snapshot: 2 lr_policy: "{policy}" power: 1', "finetune": ""})
    run, engine = Run(tmp_path / "run"), drill()
    engine.continues = lambda state: True
    for iterations in (4, 6):
        run_stage(row, "pretrain", open_set(sets / "people"), run, engine, TrainOptions(iterations=iterations))
    assert run.facts().marks == marks
