"""Real trainings of a few iterations, by the command line."""

import re
import shutil

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.base import Loss
from emotiw.engine.training_log import events
from emotiw.prototxt.formats.blobs import old_blob_of, read_mean, read_weights
from emotiw.prototxt.formats.messages import (
    NetParameter,
    PackedNet,
    SolverParameter,
    read_binary,
    read_text,
    write_binary,
)
from emotiw.prototxt.formats.upgrade import downgrade, read_net
from emotiw.prototxt.surgery import committed
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions
from emotiw.train.progress import read_progress
from emotiw.train.run_folder import STAGES, Run
from emotiw.train.stage import run_stage

pytestmark = pytest.mark.caffe

OWN = "cyclic_lbp_r3_t5"


@pytest.fixture
def copy(runs, tmp_path):
    """RUNS that a test may change."""
    return shutil.copytree(runs, tmp_path / "runs")


def refused(capsys, *command, status=1):
    """Run a command that must fail; return its one-line error."""
    capsys.readouterr()
    assert main(list(map(str, command))) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith("train:")]
    assert len(lines) == 1, lines
    return lines[0]


SCORED = [("scores", "csv"), ("scores", "json"), ("predictions", "txt"), ("confusion", "csv"), ("confusion", "png")]


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_run_folder_holds_everything(runs, sets, stage):
    folder = runs / "vgg_s_small-rgb" / stage
    iterations = {"pretrain": 6, "finetune": 3}[stage]
    scored = {f"{name}_val.{kind}" for name, kind in SCORED}
    assert {path.name for path in folder.iterdir()} - scored == {
        "run.json", "train_val.prototxt", "solver.prototxt", "deploy.prototxt", "mean.binaryproto", "log.txt",
        f"snapshot_iter_{iterations}.caffemodel", f"snapshot_iter_{iterations}.solverstate",
        "progress.csv", "curves.png", "model.caffemodel",
    }  # fmt: skip
    model, last = folder / "model.caffemodel", folder / f"snapshot_iter_{iterations}.caffemodel"
    assert model.read_bytes() == last.read_bytes()
    facts = Run(folder).facts()
    prepared = open_set(sets / {"pretrain": "people", "finetune": "expressions"}[stage])
    assert (facts.set_digest, facts.classes, facts.iterations) == (prepared.digest, prepared.classes, iterations)
    assert facts.engine_version.startswith("1.")
    np.testing.assert_array_equal(read_mean(folder / "mean.binaryproto"), read_mean(prepared.mean_file("rgb")))


@pytest.mark.parametrize(("stage", "last", "width"), [("pretrain", "fc8", 5), ("finetune", "fc8_cat", 7)])
def test_the_last_layer_is_as_wide_as_the_set(runs, stage, last, width):
    folder = runs / "vgg_s_small-rgb" / stage
    for file in ("train_val", "deploy"):
        layers = {layer.name: layer for layer in read_text(folder / f"{file}.prototxt", NetParameter).layer}
        assert layers[last].inner_product_param.num_output == width
    weights = read_weights(folder / "model.caffemodel")
    assert weights[last][0].shape[0] == width


def test_what_was_executed_is_the_committed_net_on_this_set(runs, sets):
    folder = runs / "vgg_s_small-rgb/finetune"
    net, ours = (
        read_text(folder / "train_val.prototxt", NetParameter),
        committed("vgg_s_small", "train_val_finetune.prototxt"),
    )
    for layer, source in zip(ours.layer[:2], ("train_lmdb", "val_lmdb"), strict=True):
        layer.data_param.source = str((sets / "expressions/rgb" / source).resolve())
    assert net == ours  # seven classes, as the paper's
    solver, expected = (
        read_text(folder / "solver.prototxt", SolverParameter),
        committed("vgg_s_small", "solver_finetune.prototxt"),
    )
    changed = {field.name for field, value in solver.ListFields() if getattr(expected, field.name) != value}
    assert changed <= {"net", "max_iter", "snapshot", "display", "random_seed"}
    assert (solver.net, solver.max_iter, solver.snapshot, solver.random_seed) == ("train_val.prototxt", 3, 3, 1)


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_progress_equals_the_log(runs, stage):
    folder = runs / "vgg_s_small-rgb" / stage
    logged = re.findall(r"Iteration (\d+).*, loss = (\S+)", (folder / "log.txt").read_text())
    points = [point for point in read_progress(folder / "progress.csv") if point.loss is not None]
    assert [(str(point.iteration), f"{point.loss:.6g}") for point in points] == logged
    assert len(logged) >= 4


def distance(a, b):
    """The distance of two layers' weights, relative to the norm of the first."""
    return np.linalg.norm(a - b) / np.linalg.norm(a)


def test_fine_tuning_starts_from_the_pretrained_weights(runs):
    pretrained = read_weights(runs / "vgg_s_small-rgb/pretrain/model.caffemodel")
    finetuned = read_weights(runs / "vgg_s_small-rgb/finetune/model.caffemodel")
    scratch = read_weights(runs / f"vgg_s_small-{OWN}/finetune/model.caffemodel")
    for layer in ("conv1", "conv2", "conv5", "fc6"):
        near, far = (
            distance(pretrained[layer][0], finetuned[layer][0]),
            distance(pretrained[layer][0], scratch[layer][0]),
        )
        assert near < 0.7 < 1 < far, layer  # for two independent draws it is the square root of 2
    assert "fc8" not in finetuned
    assert "fc8_cat" not in pretrained
    facts = Run(runs / "vgg_s_small-rgb/finetune").facts()
    assert facts.weights == str((runs / "vgg_s_small-rgb/pretrain/model.caffemodel").resolve())
    assert Run(runs / f"vgg_s_small-{OWN}/finetune").facts().weights == ""


def test_a_finished_run_called_again_does_nothing(runs, sets, capsys):
    folder = runs / "vgg_s_small-rgb/finetune"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert (
        main(["finetune", "vgg_s_small-rgb", "--set", str(sets / "expressions"), "-o", str(runs), "--iterations", "3"])
        == 0
    )
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert capsys.readouterr().out.endswith(f"model: {folder}/model.caffemodel\n")


def test_a_moved_run_continues_with_more_iterations(copy, sets, runs):
    """The starting weights have moved, too, because the folder with both runs was copied."""
    folder = copy / "vgg_s_small-rgb/finetune"
    command = ["finetune", "vgg_s_small-rgb", "--set", str(sets / "expressions"), "-o", str(copy)]
    assert main([*command, "--iterations", "5"]) == 0
    assert (folder / "log.txt").read_text().count("Resuming from snapshot_iter_3.solverstate") == 1
    iterations = [point.iteration for point in read_progress(folder / "progress.csv") if point.loss is not None]
    assert iterations == [0, 1, 2, 3, 4, 5]
    assert Run(folder).facts().iterations == 5
    assert not (folder / "scores_val.csv").exists()  # the scores belonged to another model
    assert (folder / "model.caffemodel").read_bytes() == (folder / "snapshot_iter_5.caffemodel").read_bytes()
    assert (folder / "model.caffemodel").read_bytes() != (
        runs / "vgg_s_small-rgb/finetune/model.caffemodel"
    ).read_bytes()


def test_another_run_in_the_folder_is_refused(copy, sets, capsys):
    people, faces = ["--set", sets / "people", "-o", copy], ["--set", sets / "expressions", "-o", copy]
    scratch = ["--from", "scratch", "--iterations", 3]
    pretrain, finetune, seed = ["pretrain", "vgg_s_small-rgb"], ["finetune", "vgg_s_small-rgb"], ["--seed", 7]
    folder = copy / "vgg_s_small-rgb"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    advice = r"\): name another -o, or give --force to start over$"
    for command, words in (
        ([*pretrain, *people, "--iterations", 6, "--seed", 2], r"has another run \(seed 7, not 2" + advice),
        ([*pretrain, *faces, *seed, "--iterations", 6], r"has another run \(set_digest \w{12}, not \w{12}" + advice),
        ([*finetune, *faces, *scratch], r"has another run \(weights_sha256 \w{12}, not none" + advice),
    ):
        assert re.search(words, refused(capsys, *command))
    assert "has already trained 6 iterations, not 4" in refused(
        capsys, *pretrain, *people, *seed, "--iterations", 4, status=2
    )
    for path in (folder / "pretrain").glob("snapshot_*"):
        path.unlink()
        del before[path]
    line = refused(capsys, *pretrain, *people, *seed, "--iterations", 8)
    assert "has lost its snapshot of iteration 6: name another -o, or give --force" in line
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before


def test_force_starts_over(copy, sets):
    folder = copy / "vgg_s_small-rgb/finetune"
    before = read_weights(folder / "model.caffemodel")["conv1"][0]
    (folder / "scores_test.csv").touch()
    people = ["--set", str(sets / "people"), "-o", str(copy), "--iterations", "1"]
    assert main(["finetune", "vgg_s_small-rgb", *people, "--from", "scratch", "--force"]) == 0
    assert Run(folder).facts().weights == ""
    assert distance(before, read_weights(folder / "model.caffemodel")["conv1"][0]) > 0.9
    assert "Resuming" not in (folder / "log.txt").read_text()
    assert not (folder / "scores_test.csv").exists()


def test_force_removes_nothing_before_all_checks(copy, sets, capsys):
    for wrong in (["--set", sets / "none"], ["--set", sets / "people", "--caffe", sets]):
        refused(capsys, "pretrain", "vgg_s_small-rgb", *wrong, "-o", copy, "--force")
    assert (copy / "vgg_s_small-rgb/pretrain/model.caffemodel").exists()


@pytest.mark.parametrize("start", ["vgg_s_small-rgb/pretrain", "vgg_s_small-rgb/pretrain/model.caffemodel"])
def test_from_a_run_or_a_caffemodel(runs, sets, tmp_path, start):
    command = ["finetune", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(tmp_path)]
    assert main([*command, "--iterations", "1", "--from", str(runs / start)]) == 0
    run = Run(tmp_path / "vgg_s_small-rgb/finetune")
    pretrained = read_weights(runs / "vgg_s_small-rgb/pretrain/model.caffemodel")
    assert distance(pretrained["conv1"][0], read_weights(run.model)["conv1"][0]) < 0.7
    assert run.facts().weights == str((runs / "vgg_s_small-rgb/pretrain/model.caffemodel").resolve())


def test_errors_of_arguments_are_one_line(sets, tmp_path, capsys):
    faces = ["--set", sets / "expressions", "-o", tmp_path]
    finetune = ["finetune", "vgg_s_small-rgb", *faces]
    line = refused(capsys, *finetune)
    assert line.startswith(f"emotiw: no pre-trained model at {tmp_path}/vgg_s_small-rgb/pretrain")
    assert "run emotiw pretrain vgg_s_small-rgb first" in line
    line = refused(capsys, "pretrain", "vgg_s-rgb", *faces, status=2)
    assert line.endswith("has 64-pixel images but vgg_s crops 224 of 256: prepare the set with --size 256")
    assert "holds no lbp, only rgb, cyclic_lbp" in refused(capsys, "pretrain", "vgg_s_small-lbp", *faces)
    assert "no net 'alexnet'" in refused(capsys, "pretrain", "alexnet-rgb", *faces, status=2)
    assert "sift: not a representation" in refused(capsys, "pretrain", "vgg_s_small-sift", *faces, status=2)
    assert "--iterations must be" in refused(capsys, *finetune, "--from", "scratch", "--iterations", 0, status=2)
    assert "--seed at least 0" in refused(capsys, *finetune, "--from", "scratch", "--seed", 2**31, status=2)
    (tmp_path / "text.caffemodel").write_text("no model")
    assert "is not a complete NetParameter" in refused(capsys, *finetune, "--from", tmp_path / "text.caffemodel")
    (tmp_path / "empty.caffemodel").touch()
    assert "has no layer of vgg_s_small" in refused(capsys, *finetune, "--from", tmp_path / "empty.caffemodel")
    assert not (tmp_path / "vgg_s_small-rgb").exists()


def test_misfitting_weights_are_listed_before_anything_runs(runs, sets, tmp_path, capsys):
    """The pretrained conv1 and fc6 get other shapes, which is fatal in Caffe."""
    net = read_binary(runs / "vgg_s_small-rgb/pretrain/model.caffemodel", NetParameter)
    layers = {layer.name: layer for layer in net.layer}
    layers["conv1"].blobs[0].shape.dim[:] = [24, 3, 49, 1]
    layers["fc6"].blobs[0].shape.dim[:] = [512, 256]
    write_binary(tmp_path / "odd.caffemodel", net)
    command = ["finetune", "vgg_s_small-rgb", "--set", sets / "expressions", "-o", tmp_path]
    line = refused(capsys, *command, "--from", tmp_path / "odd.caffemodel")
    assert line == (
        f"emotiw: {tmp_path}/odd.caffemodel does not fit vgg_s_small: "
        "conv1 is 24x3x49x1 + 24 in the weights, 24x3x7x7 + 24 in the net; "
        "fc6 is 512x256 + 256 in the weights, 256x512 + 256 in the net: give the weights of a net like it"
    )
    assert not (tmp_path / "vgg_s_small-rgb").exists()


def test_weights_for_other_classes_can_start_a_net(runs, sets, tmp_path, capsys):
    """As for ImageNet's 1000 classes: weights for five people start a net for seven emotions with equal layer names."""
    start = runs / "vgg_s_small-rgb/pretrain"
    command = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "expressions"), "-o", str(tmp_path)]
    assert main([*command, "--from", str(start), "--iterations", "1"]) == 0
    assert (
        "weights: 7 of the net's 8 layers copied\n"
        "  fc8_new: not in the weights, starts from its filler\n"
        "  fc8: not in the net, ignored\n"
    ) in capsys.readouterr().out
    run = Run(tmp_path / "vgg_s_small-rgb/pretrain")
    made = read_weights(run.model)
    assert made["fc8_new"][0].shape[0] == 7
    assert distance(read_weights(start / "model.caffemodel")["conv1"][0], made["conv1"][0]) < 0.7
    assert refused(capsys, *command, "--from", tmp_path / "none").startswith(f"emotiw: no weights at {tmp_path}/none")


def test_weights_in_the_authors_v1_format_can_start_a_net(runs, sets, tmp_path, capsys):
    """The weights have fc8_cat, like the authors', so no layer is new; their classes are not recorded."""
    start = runs / "vgg_s_small-rgb/finetune"
    v1 = PackedNet.FromString(downgrade(read_net(start / "deploy.prototxt")).SerializeToString())
    blobs = read_weights(start / "model.caffemodel")
    for layer in v1.layers:
        layer.blobs.extend(map(old_blob_of, blobs.get(layer.name, [])))
    write_binary(tmp_path / "v1.caffemodel", v1)
    command = ["finetune", "vgg_s_small-rgb", "--set", str(sets / "expressions"), "-o", str(tmp_path)]
    assert main([*command, "--from", str(tmp_path / "v1.caffemodel"), "--iterations", "1"]) == 0
    assert (
        "weights: 8 of the net's 8 layers copied\n"
        f"warning: fc8_cat is copied, but {sets}/expressions has the classes Angry, Disgust, Fear, Happy, Neutral, "
        f"Sad, Surprise, and nothing says whether {tmp_path}/v1.caffemodel has the same in this order\nmodel: "
    ) in capsys.readouterr().out
    made = read_weights(tmp_path / "vgg_s_small-rgb/finetune/model.caffemodel")
    assert all(distance(blobs[name][0], made[name][0]) < 0.7 for name in blobs)


@pytest.mark.parametrize("net", ["vgg_m_2048_small", "vgg_m_4096_small", "googlenet_small"])
def test_the_other_small_nets_go_both_stages(net, sets, tmp_path, capsys):
    row, last = f"{net}-rgb", "loss3/classifier" if net == "googlenet_small" else "fc8"
    output = ["-o", str(tmp_path), "--iterations"]
    assert main(["pretrain", row, "--set", str(sets / "people"), *output, "2"]) == 0
    assert main(["finetune", row, "--set", str(sets / "expressions"), *output, "2"]) == 0
    pretrained, finetuned = (read_weights(tmp_path / row / stage / "model.caffemodel") for stage in STAGES)
    heads = {name for name in pretrained if name.endswith("/classifier")} or {"fc8"}
    assert len(heads) == (3 if net == "googlenet_small" else 1)
    assert pretrained.keys() - finetuned.keys() == heads
    assert (pretrained[last][1].shape, finetuned[f"{last}_cat"][1].shape) == ((5,), (7,))
    printed = capsys.readouterr().out
    for head in heads:
        assert f"  {head}_cat: not in the weights, starts from its filler\n" in printed
    conv1 = next(iter(pretrained))
    assert distance(pretrained[conv1][0], finetuned[conv1][0]) < 0.7


def test_a_folder_in_use_is_refused(sets, tmp_path, capsys):
    from emotiw.files import alone

    with alone(tmp_path / "vgg_s_small-rgb/pretrain", "busy"):
        line = refused(capsys, "pretrain", "vgg_s_small-rgb", "--set", sets / "people", "-o", tmp_path)
    assert "another emotiw is training in" in line
    with alone(tmp_path / "vgg_s_small-rgb/pretrain", "busy"):  # free again
        pass


def test_snapshots_are_pruned_without_a_validation_split(sets, engine, tmp_path):
    prepared = open_set(sets / "people")
    assert prepared.count("val") == 0
    row = Experiment("vgg_s_small", "rgb", {"pretrain": "snapshot: 2", "finetune": ""})
    run = Run(tmp_path / "run")
    run_stage(row, "pretrain", prepared, run, engine, TrainOptions(iterations=7))
    assert [iteration for iteration, _ in run.snapshots()] == [6, 7]
    assert all(point.val_accuracy is None for point in read_progress(run.folder / "progress.csv"))
    with (run.folder / "log.txt").open() as log:
        assert sum(isinstance(event, Loss) for event in events(log, run.folder)) == 8  # 0 to 7


def test_a_loss_at_the_prior_is_warned_of(sets, engine, tmp_path, capsys):
    row = Experiment("vgg_s_small", "rgb", {"pretrain": "base_lr: 1e-9", "finetune": ""})
    run_stage(row, "pretrain", open_set(sets / "people"), Run(tmp_path / "run"), engine, TrainOptions(iterations=6))
    assert "warning: the loss is still that of guessing (1.609)" in capsys.readouterr().out  # ln 5


def test_renew_resumes_this_run_and_replaces_another(copy, sets, capsys):
    run = Run(copy / "vgg_s_small-rgb/pretrain")
    again = ["pretrain", "vgg_s_small-rgb", "--set", str(sets / "people"), "-o", str(copy), "--renew"]
    log = (run.folder / "log.txt").read_bytes()
    run.model.unlink()  # as a workflow does before it repeats a step
    assert main([*again, "--iterations", "6", "--seed", "7"]) == 0
    assert run.finished
    assert (run.folder / "log.txt").read_bytes() == log, "nothing was trained again"
    assert main([*again, "--iterations", "2", "--seed", "7"]) == 0  # it has more iterations already
    assert (run.facts().iterations, run.facts().seed) == (2, 7)
    assert main([*again, "--iterations", "2", "--seed", "8"]) == 0
    assert run.facts().seed == 8
    assert [iteration for iteration, _ in run.snapshots()] == [2]
