"""A user's own recipe, by the command line and the real Caffe: settings, epochs, nets, and their results."""

import re
import shutil

import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.errors import UsageError
from emotiw.evaluate.scores import read_scores
from emotiw.prototxt.formats.messages import NetParameter, SolverParameter, read_text
from emotiw.prototxt.message_diff import changes
from emotiw.prototxt.surgery import data_layers, deploy
from emotiw.train.experiments import experiment, like, shipped
from emotiw.train.net_setup import TrainOptions, set_up
from emotiw.train.run_folder import Run

pytestmark = pytest.mark.caffe

ROW = "vgg_s_small-rgb"
SETTINGS = "base_lr: 0.002 lr_policy: 'multistep' stepvalue: 2 stepvalue: 9"


@pytest.fixture
def finetune(sets, tmp_path, capsys):
    """Fine-tune from scratch into tmp_path/runs, by default for two epochs; return the output."""

    def run(*words, row=ROW, length=("--epochs", "0.9"), status=0):
        command = ["finetune", row, "--set", sets / "expressions", "-o", tmp_path / "runs", "--from", "scratch"]
        capsys.readouterr()
        assert main(list(map(str, [*command, *length, *words]))) == status
        said = capsys.readouterr()
        return said.out if status == 0 else said.err.splitlines()[-1]

    return run


def test_settings_and_epochs_are_executed_and_noted(finetune, tmp_path):
    """56 images by 30 an iteration: 0.9 epochs are 1.68 iterations, rounded up."""
    said = finetune("--solver", SETTINGS)
    changed = "base_lr 0.004 -> 0.002; lr_policy step -> multistep; stepvalue not given -> 2, 9"
    assert f"settings: {changed}\n" in said
    assert "schedule: the rate's step at iteration 2 is not reached, since the last one is 2: it stays 0.002" in said
    run = Run(tmp_path / "runs" / ROW / "finetune")
    solver = read_text(run.folder / "solver.prototxt", SolverParameter)
    assert (solver.lr_policy, list(solver.stepvalue), solver.max_iter) == ("multistep", [2, 9], 2)
    facts = run.facts()
    assert (facts.settings, facts.iterations, facts.net_folder) == (changed, 2, "")


def test_the_same_run_resumes_and_another_is_refused(finetune, tmp_path):
    (tmp_path / "solver.prototxt").write_text(SETTINGS)
    finetune("--solver", SETTINGS)
    log = tmp_path / "runs" / ROW / "finetune/log.txt"
    finetune("--solver", tmp_path / "solver.prototxt", length=("--iterations", "4"))
    assert "Resuming from snapshot_iter_2.solverstate" in log.read_text()
    mend = r"\): name another -o, or give --force to start over$"
    line = finetune("--solver", "base_lr: 0.001", status=1)
    assert re.search(
        r"has another run \(base_lr 0.002 -> 0.001; lr_policy multistep -> step; stepvalue 2, 9 -> not given" + mend,
        line,
    )
    assert re.search(r"has another run \(base_lr 0.002 -> 0.004; ", finetune(status=1))


def test_an_empty_solver_text_is_refused(finetune):
    assert finetune("--solver", " ", status=2).endswith("--solver is empty: give settings or a file, or leave it out")


def test_an_executed_solver_or_net_that_was_edited_is_refused(finetune, tmp_path):
    """The edit would have no effect, because a run follows its recipe."""
    finetune()
    folder = tmp_path / "runs" / ROW / "finetune"
    for name, old, new, words in (
        ("solver", "base_lr: 0.004", "base_lr: 0.001", "solver.prototxt: base_lr 0.004 -> 0.001"),
        ("solver", "max_iter: 2", "max_iter: 20", "solver.prototxt: max_iter 2 -> 20"),
        ("solver", "snapshot: 2", "snapshot: 1", "solver.prototxt: snapshot 2 -> 1"),
        ("solver", "random_seed: 1", "random_seed: 3", "solver.prototxt: random_seed 1 -> 3"),
        ("train_val", "dropout_ratio: 0.25", "dropout_ratio: 0.5", "train_val.prototxt: drop6 dropout_param"),
        ("deploy", "num_output: 24", "num_output: 25", "deploy.prototxt: conv1 convolution_param num_output 24 -> 25"),
    ):
        path = folder / f"{name}.prototxt"
        kept = path.read_text()
        path.write_text(kept.replace(old, new, 1))
        for length in (("--epochs", "0.9"), ("--iterations", "5")):
            line = finetune(length=length, status=1)
            assert f"its prototxt was edited ({words}" in line
            assert "which has no effect on a run: give the change by --solver or a --net of your own" in line
        assert "was edited" in finetune("--renew", status=1), "a run of days is not thrown away for that"
        path.write_text(kept)
    finetune(length=("--iterations", "3"))


def test_an_edited_committed_file_in_a_checkout_is_refused(finetune, tmp_path, monkeypatch):
    from importlib import resources

    installed = resources.files("emotiw.prototxt") / "vgg_s_small"
    here = shutil.copytree(str(installed), tmp_path / "checkout/prototxt/vgg_s_small")
    monkeypatch.chdir(tmp_path / "checkout")
    finetune()
    path = here / "solver_finetune.prototxt"
    path.write_text(path.read_text().replace("base_lr: 0.004", "base_lr: 0.001"))
    line = finetune(status=2)
    assert "solver_finetune.prototxt is not the installed file (base_lr 0.004 -> 0.001) and has no effect" in line
    assert "--solver" in line


def test_an_own_net_from_its_folder_to_a_prediction(finetune, tmp_path, sets, transformed, written, capsys):
    """Its crop is not 7/8 of the set's size; its run folder is again a net's folder."""
    folder = written(
        tmp_path / "nets/mine", transformed(crop_size=48, mean_file=None, mean_value=[104, 117, 123], scale=0.0078125)
    )
    said = finetune("--net", folder, row="mine-rgb")
    assert f"net: {folder}, 30 images an iteration\n" in said
    run = Run(tmp_path / "runs/mine-rgb/finetune")
    assert (run.facts().net, run.facts().net_folder) == ("mine", str(folder))
    faces = sets / "faces/expressions"
    picture = next(faces.rglob("*.png"))
    assert main(["evaluate", str(run.folder), "--set", str(sets / "expressions")]) == 0
    assert main(["predict", str(picture), "--aligned", "--model", str(run.folder)]) == 0
    words = "resized to 64 x 64, the centre crop of 48 x 48, BGR, minus the mean 104 / 117 / 123, times 0.0078125, "
    assert words in capsys.readouterr().out
    finetune("--net", run.folder, row="copy-rgb")
    again = Run(tmp_path / "runs/copy-rgb/finetune")
    assert changes(run.train_val(), again.train_val()) == []


def test_an_own_net_is_checked_against_the_set(finetune, tmp_path, transformed, written):
    large = written(tmp_path / "large", transformed(crop_size=65))
    assert finetune("--net", large, row="mine-rgb", status=2).endswith(
        "has 64-pixel images but mine crops 65: prepare it larger"
    )
    net = transformed()
    data_layers(net)[0].data_param.batch_size = 57
    greedy = written(tmp_path / "greedy", net)
    line = finetune("--net", greedy, row="mine-rgb", length=("--iterations", "2"), status=2)
    assert "mine takes 57 images an iteration but" in line
    assert line.endswith("has 56 to train on: give the net a smaller batch_size")
    without = written(tmp_path / "without", transformed(), solver=False)
    assert "lacks base_lr and max_iter" in finetune("--net", without, row="mine-rgb", length=(), status=2)


@pytest.mark.parametrize(
    ("settings", "length", "more"),
    [
        ("max_iter: 5", ("--iterations", "2"), ()),
        ("max_iter: 5", ("--epochs", "2"), ()),
        ("random_seed: 5", ("--iterations", "2"), ("--seed", "6")),
    ],
)
def test_a_setting_that_a_flag_gives_too_is_refused(finetune, tmp_path, settings, length, more):
    """Otherwise run.json would say `max_iter 300 -> 5` of a run of 2 iterations."""
    flag = (more or length)[0]
    line = finetune("--solver", settings, *more, length=length, status=2)
    assert f"--solver gives {settings[:-3]}, and {flag} gives it, too: leave one of them out" in line
    assert not (tmp_path / "runs").exists()


def test_an_iteration_of_several_batches_is_checked_against_the_set(finetune, tmp_path, transformed, written):
    small = written(tmp_path / "small", transformed())
    line = finetune("--net", small, "--solver", "iter_size: 2", row="mine-rgb", length=("--iterations", "2"), status=2)
    assert "mine takes 60 images an iteration but" in line


def test_an_epoch_that_is_less_than_an_iteration_is_refused(sets):
    row = experiment(ROW).over(["finetune"], "iter_size: 2", "--solver")
    with pytest.raises(UsageError, match="an iteration takes 60 images and the set has 56: epochs are not possible"):
        set_up(row, "finetune", open_set(sets / "expressions"), TrainOptions(epochs=3))


@pytest.mark.parametrize(("epochs", "iterations"), [(1, 2), (15, 28), (30, 56), (0.01, 1), (0.9375, 2)])
def test_epochs_are_rounded_up_without_float_errors(sets, epochs, iterations):
    """15 epochs of 56 images by 30 are 28 iterations exactly: no rounding error makes them 29."""
    setup = set_up(experiment(ROW), "finetune", open_set(sets / "expressions"), TrainOptions(epochs=epochs))
    assert setup.solver.max_iter == iterations


def test_an_own_representation_takes_its_nets_settings(finetune, monkeypatch, tmp_path):
    """This holds also if those differ from the committed solver's."""
    from dataclasses import replace

    from emotiw.train import experiments

    said = finetune(row="vgg_s_small-cyclic_lbp_r3_t5")
    assert "cyclic_lbp_r3_t5 is in no shipped row: the settings are those of vgg_s_small-rgb\n" in said
    tuned = replace(like("vgg_s_small"), settings={"pretrain": "", "finetune": "base_lr: 0.125"})
    monkeypatch.setattr(experiments, "experiments", lambda: {tuned.row: tuned})
    assert shipped("vgg_s_small", "hamming_lbp").solver("finetune").base_lr == 0.125


@pytest.mark.parametrize("engine", ["caffe", "torch"])
@pytest.mark.parametrize(
    "settings",
    [
        {"scale": 0.0078125},
        {"mean_file": None, "mean_value": [104, 117, 123]},
        {"mean_file": None, "mean_value": [128], "scale": 0.0078125},
        {"mean_file": None},
    ],
    ids=["scale", "mean_value", "both", "no mean"],
)
def test_scoring_uses_the_input_of_training(
    finetune, sets, tmp_path, transformed, written, caffe_accuracy, settings, engine
):
    """The engine's own TEST pass, with its own data layer, has the same accuracy as `evaluate`.

    A net that is scored without its scale predicts only one class; untrained nets also do, so train it a little.
    """
    net = transformed(**settings)
    data_layers(net)[1].data_param.batch_size = 28  # the split's images, once
    folder = written(tmp_path / "mine", net)
    rate = "base_lr: 0.01" if "scale" in settings else "base_lr: 0.0005"
    own = [] if engine == "caffe" else ["--engine", "torch", "--gpu", "none"]
    finetune(
        "--net",
        folder,
        "--solver",
        f"{rate} test_iter: 1 test_interval: 8",
        *own,
        row="mine-rgb",
        length=("--iterations", "8"),
    )
    run = Run(tmp_path / "runs/mine-rgb/finetune")
    assert main(["evaluate", str(run.folder), "--set", str(sets / "expressions"), *own]) == 0
    scores = read_scores(run.folder / "scores_val.csv")
    assert scores.accuracy == pytest.approx(caffe_accuracy(run.folder), abs=1e-6)


@pytest.fixture
def caffe_accuracy():
    """Return the last accuracy that an engine's own TEST pass logged."""

    def read(folder):
        accuracies = re.findall(r"Test net output #\d+: accuracy = (\S+)", (folder / "log.txt").read_text())
        return float(accuracies[-1])

    return read


def test_phases_that_differ_are_refused_by_name_when_scored(finetune, sets, tmp_path, transformed, written, capsys):
    finetune("--net", written(tmp_path / "mine", transformed()), row="mine-rgb")
    path = tmp_path / "runs/mine-rgb/finetune/train_val.prototxt"
    net = read_text(path, NetParameter)
    data_layers(net)[1].transform_param.scale = 0.5
    path.write_text(str(net))
    assert main(["evaluate", str(path.parent), "--set", str(sets / "expressions")]) == 1
    assert "its Data layers differ in transform_param (scale not given -> 0.5)" in capsys.readouterr().err
    assert deploy(net)
