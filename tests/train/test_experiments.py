import csv
import re
from importlib import resources

import pytest

from emotiw.errors import UsageError
from emotiw.lbp_mapping.representation import PAPER
from emotiw.prototxt.surgery import committed
from emotiw.train.experiments import Experiment, experiment, experiments, preset_rows
from emotiw.train.presets import PRESETS

FOUR = ("vgg_s", "vgg_m_2048", "vgg_m_4096", "googlenet")


def test_the_table_has_each_net_with_the_papers_five():
    names = [representation.name for representation in PAPER]
    sizes = ("", "_medium", "_small")
    assert list(experiments()) == [f"{net}{size}-{name}" for size in sizes for net in FOUR for name in names]
    assert [len(preset_rows(preset)) for preset in PRESETS] == [20, 20, 20]
    for row in experiments().values():
        for stage in ("pretrain", "finetune"):
            assert row.solver(stage).max_iter > 0
            assert row.train_val(stage).layer[0].type == "Data"


def test_the_table_equals_the_committed_solvers():
    for row in experiments().values():
        for stage in ("pretrain", "finetune"):
            committed_solver = committed(row.net, f"solver_{stage}.prototxt")
            named = [setting.split(":")[0] for setting in row.settings[stage].replace(": ", ":").split()]
            steps = ["stepvalue", "stepvalue"] if row.net.endswith("_medium") else ["stepsize"]
            assert named == ["base_lr", *steps, "max_iter"]
            assert row.solver(stage) == committed_solver


def test_every_row_names_its_deviations():
    """D5: solvers; D6, D16: small, medium; D9: pre-training; D12: a net whose prototxt the authors did not publish."""
    for row in experiments().values():
        size = {"small": {"D6"}, "medium": {"D16"}}.get(row.net.rpartition("_")[2], set())
        theirs = row.net.startswith("vgg_s")
        assert set(row.standing) == {"D5", "D9", *size, *(() if theirs else ("D12",))}, row.row
    assert experiment("vgg_s-hamming_lbp").standing == ()


@pytest.mark.parametrize(
    ("spelled", "row"),
    [
        ("vgg_s-rgb", "vgg_s-rgb"),
        ("vgg_s-cyclic_lbp:radius=5", "vgg_s-cyclic_lbp_5"),
        ("vgg_s_small-cyclic_lbp:radius=3:threshold=5", "vgg_s_small-cyclic_lbp_r3_t5"),
        ("vgg_s_small-cyclic_lbp_r3_t5", "vgg_s_small-cyclic_lbp_r3_t5"),
        ("vgg_s_small-lbp_t-2.5", "vgg_s_small-lbp_t-2.5"),
        ("vgg_s-hamming_lbp", "vgg_s-hamming_lbp"),
    ],
)
def test_rows_by_name(spelled, row):
    found = experiment(spelled)
    assert found.row == row
    assert (row in experiments()) == (found is experiments().get(row))


@pytest.mark.parametrize(
    ("spelled", "words"),
    [
        ("vgg_s", "not a row"),
        ("vgg_s-", "not a row"),
        ("vgg_s-sift", "not a representation"),
        ("vgg_s-rgb:radius=2", "rgb is the image itself"),
        ("alexnet-rgb", r"there is no net 'alexnet': name one of googlenet, googlenet_medium, .*, vgg_s_small"),
        ("../x-rgb", "no net"),
    ],
)
def test_an_invalid_row(spelled, words):
    with pytest.raises(UsageError, match=words) as caught:
        experiment(spelled)
    assert "\n" not in str(caught.value)


def test_a_rows_settings_are_merged_into_the_committed_solver():
    row = Experiment("vgg_s_small", "rgb", {"pretrain": "base_lr: 0.125 stepvalue: 7", "finetune": ""})
    solver, before = row.solver("pretrain"), committed("vgg_s_small", "solver_pretrain.prototxt")
    assert (solver.base_lr, list(solver.stepvalue)) == (0.125, [7])
    assert solver.momentum == before.momentum
    assert row.solver("finetune") == committed("vgg_s_small", "solver_finetune.prototxt")


def test_every_value_has_its_standing():
    """The three values of a stage share it; the authors published their age/gender solver, not this one."""
    table = resources.files("emotiw.train").joinpath("experiments.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(table.splitlines()):
        for stage in ("pretrain", "finetune"):
            known = "base_lr: 0.001 " in row[stage]  # theirs: 0.001, step 10000, 50000 iterations
            assert known == ("stepsize: 10000 max_iter: 50000" in row[stage])
            standing = row[f"{stage}_standing"]
            assert standing.startswith("verified for the authors' age/gender solver" if known else "ours (D")
            assert set(re.findall(r"D\d+", standing)) <= set(row["standing"].split())
