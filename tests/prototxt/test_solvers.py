"""Solver settings: merging, refusals, and the steps of the rate."""

import pytest

from emotiw.errors import UsageError
from emotiw.prototxt.formats.messages import SolverParameter, parse_text
from emotiw.prototxt.solvers import check_solver, merged, one_line, parse_settings, rate_steps


def solver(text):
    return parse_text(text, SolverParameter, "a test")


def test_single_fields_are_replaced_and_repeated_ones_as_a_whole():
    base = solver("base_lr: 0.1 stepvalue: 5 stepvalue: 9 momentum: 0.9 train_state { level: 1 stage: 'a' }")
    over = solver("base_lr: 0.2 stepvalue: 7 train_state { stage: 'b' }")
    result = merged(base, over)
    assert (result.base_lr, list(result.stepvalue), result.momentum) == (pytest.approx(0.2), [7], pytest.approx(0.9))
    assert (result.train_state.level, list(result.train_state.stage)) == (1, ["b"])
    assert list(base.stepvalue) == [5, 9], "the base stays as it is"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base_lrr: 0.1", 'no field named "base_lrr"'),
        ("base_lr: fast", "--solver is not a SolverParameter"),
        ("net: 'other.prototxt'", "net cannot be set: name your own net by --net"),
        ("weights: 'x.caffemodel'", "name the weights to start from by --from"),
        ("snapshot_prefix: 'elsewhere/x'", "snapshots go into the run folder"),
        ("snapshot_format: HDF5", "snapshot_format: a run is resumed from binary snapshots"),
        ("snapshot_after_train: false", "the last snapshot is the model"),
        ("solver_mode: GPU", "name a GPU by --gpu"),
        ("solver_type: ADAM", "the current name is `type`"),
    ],
)
def test_an_unknown_setting_is_named(text, words):
    with pytest.raises(UsageError) as caught:
        parse_settings(text, "--solver")
    assert words in str(caught.value)
    assert str(caught.value).startswith("--solver")
    assert "\n" not in str(caught.value)


def test_an_executed_solver_is_a_text_of_settings():
    text = "base_lr: 0.1 net: 'train_val.prototxt' snapshot_prefix: 'snapshot' solver_mode: CPU random_seed: 7"
    assert one_line(parse_settings(text, "a file")) == "base_lr: 0.1 random_seed: 7"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr_policy: 'fixed'", "lacks base_lr and max_iter"),
        ("base_lr: 0 lr_policy: 'fixed' max_iter: 5", "must be above 0"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 type: 'Adm'", "no solver type 'Adm'"),
        ("base_lr: inf lr_policy: 'fixed' max_iter: 5", "base_lr must be finite"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 average_loss: 0", "average_loss must be at least 1"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 snapshot: -1", "must be at least 0"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 regularization_type: 'L3'", "must be 'L1' or 'L2'"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 type: 'AdaGrad' momentum: 0.9", "need momentum: 0"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 type: 'RMSProp' rms_decay: 1", "rms_decay must be"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 test_iter: 3", "test_iter needs a test_interval"),
        ("base_lr: 1 lr_policy: 'fixed' max_iter: 5 test_state { level: 1 }", "each test_state needs a test_iter"),
    ],
)
def test_solvers_that_no_engine_accepts(text, words):
    with pytest.raises(UsageError, match=words):
        check_solver(solver(text), "a row")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("lr_policy: 'step' stepsize: 240 max_iter: 300", [240, 480]),
        ("lr_policy: 'step' stepsize: 240 max_iter: 200", [240]),
        ("lr_policy: 'step' stepsize: 100000 max_iter: 300000", [100000, 200000, 300000]),
        ("lr_policy: 'multistep' stepvalue: 5 stepvalue: 9 max_iter: 7", [5, 9]),
        ("lr_policy: 'poly' power: 1 max_iter: 7", []),
        ("lr_policy: 'fixed' stepsize: 3 max_iter: 7", []),
    ],
)
def test_where_the_rate_steps(text, steps):
    assert rate_steps(solver(text)) == steps
