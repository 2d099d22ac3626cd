"""A stage's net before training: it has the requested settings, and the committed prototxt is unchanged."""

from collections import Counter

import pytest

from emotiw.data_prep.prepared_set import open_set
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, read_text
from emotiw.prototxt.surgery import classifiers, committed
from emotiw.train import experiments
from emotiw.train.experiments import experiment
from emotiw.train.net_setup import TrainOptions, set_up

ROW = "vgg_s_small-rgb"


@pytest.fixture
def prepared(sets):
    return open_set(sets / "people")


def test_what_is_asked_for_is_written(prepared, tmp_path):
    set_up(experiment(ROW), "pretrain", prepared, TrainOptions(iterations=40, seed=7)).write(tmp_path)
    solver = read_text(tmp_path / "solver.prototxt", SolverParameter)
    assert (solver.net, solver.max_iter, solver.random_seed) == ("train_val.prototxt", 40, 7)
    assert (solver.snapshot, solver.display) == (40, 2)
    net = read_text(tmp_path / "train_val.prototxt", NetParameter)
    last = classifiers(net)
    assert [layer.inner_product_param.num_output for layer in net.layer if layer.name in last] == [5]
    lmdbs = [layer.data_param.source for layer in net.layer if layer.type == "Data"]
    assert lmdbs == [str(prepared.folder.resolve() / "rgb" / name) for name in ("train_lmdb", "val_lmdb")]
    assert (tmp_path / "mean.binaryproto").read_bytes() == prepared.mean_file("rgb").read_bytes()


def test_without_options_it_has_the_rows_settings(prepared):
    setup = set_up(experiment(ROW), "pretrain", prepared)
    assert setup.solver.max_iter == experiment(ROW).solver("pretrain").max_iter
    assert (setup.solver.random_seed, setup.weights, setup.copy) == (1, None, None)


def test_each_prototxt_is_parsed_once_and_not_changed(prepared, monkeypatch):
    parsed = Counter()

    def counted(net, file):
        parsed[file] += 1
        return committed(net, file)

    row = experiment(ROW)
    recipe = row.recipe("finetune")
    experiments._committed_train_val.cache_clear()
    experiments._committed_solver.cache_clear()
    monkeypatch.setattr(experiments, "committed", counted)
    setup = set_up(row, "finetune", prepared, TrainOptions(iterations=3))
    setup.train_val.name = setup.solver.net = "another"
    assert row.recipe("finetune") == recipe
    assert row.train_val("finetune") == committed(row.net, "train_val_finetune.prototxt")
    assert parsed == {"train_val_finetune.prototxt": 1, "solver_finetune.prototxt": 1}
