"""Scores of real runs against pycaffe's own `caffe.Classifier`, and what `emotiw evaluate` writes."""

import csv
import hashlib
import json
import re
import shutil
from dataclasses import replace
from subprocess import PIPE

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.evaluate.scores import read_scores
from emotiw.prototxt.formats.blobs import read_mean
from emotiw.prototxt.formats.messages import NetParameter, read_binary, write_binary
from emotiw.train.progress import read_progress
from emotiw.train.run_folder import Run

pytestmark = pytest.mark.caffe

OWN = "cyclic_lbp_r3_t5"

# The authors' notebook, with the mean cropped to the net's input as in Caffe's training layer.
CLASSIFIER = """
import sys
import numpy as np
import caffe
run, pictures, oversample = sys.argv[1:4]
classifier = caffe.Classifier(
    run + "/deploy.prototxt", run + "/model.caffemodel", mean=np.load(pictures + "/mean.npy"),
    channel_swap=(2, 1, 0), raw_scale=255, image_dims=(64, 64),
)
faces = [caffe.io.load_image("%s/%04d.png" % (pictures, k)) for k in range(int(sys.argv[4]))]
np.save(pictures + "/scores.npy", classifier.predict(faces, oversample=oversample == "10"))
"""


@pytest.fixture
def copy(runs, tmp_path):
    """RUNS that a test may change."""
    return shutil.copytree(runs, tmp_path / "runs")


def centre(mean):
    """The mean of the net's input, as Caffe's training layer has it."""
    return mean[:, 4:60, 4:60]


def classify(caffe, folder, pictures, representation, prepared, crops, mean=centre):
    """Return (paths, pycaffe's own scores) of the set's validation images."""
    pictures.mkdir()
    paths = []
    for number, record in enumerate(prepared.records(representation, "val")):
        cv2.imwrite(str(pictures / f"{number:04d}.png"), record.blob.transpose(1, 2, 0))  # BGR, as OpenCV has it
        paths.append(record.path)
    np.save(pictures / "mean.npy", mean(read_mean(folder / "mean.binaryproto")))
    command = [caffe.python, "-c", CLASSIFIER, folder, pictures, str(crops), str(len(paths))]
    with running(start(caffe, command, stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    return tuple(paths), np.load(pictures / "scores.npy")


@pytest.mark.parametrize(("representation", "crops"), [("rgb", 1), (OWN, 10)])
def test_scores_are_those_of_caffes_classifier(copy, sets, caffe, tmp_path, representation, crops):
    folder, prepared = copy / f"vgg_s_small-{representation}/finetune", open_set(sets / "expressions")
    if crops == 10:
        command = ["evaluate", str(folder), "--set", str(prepared.folder), "--crops", "10", "--force"]
        assert main(command) == 0
    assert json.loads((folder / "scores_val.json").read_text())["crops"] == crops
    ours = read_scores(folder / "scores_val.csv")
    paths, theirs = classify(caffe, folder, tmp_path / "pictures", representation, prepared, crops)
    assert ours.paths == paths
    np.testing.assert_allclose(ours.posteriors, theirs, rtol=0, atol=1e-6)
    assert np.ptp(theirs, axis=0).max() > 1e-3  # the faces do differ
    np.testing.assert_allclose(ours.posteriors.sum(axis=1), 1, rtol=0, atol=1e-6)


def test_one_number_for_each_channel_is_a_vector_for_caffes_classifier(copy, sets, caffe, tmp_path, capsys):
    folder, prepared = copy / "vgg_s_small-rgb/finetune", open_set(sets / "expressions")
    command = ["evaluate", str(folder), "--set", str(prepared.folder), "--mean", "channel", "--as", "channel"]
    assert main(command) == 0
    warning, _ = capsys.readouterr().out.splitlines()[-2:]
    assert warning == ("warning: vgg_s_small-rgb: the mean was subtracted by the rule channel instead of its own, crop")
    assert json.loads((folder / "scores_channel.json").read_text())["mean_rule"] == "channel"
    ours = read_scores(folder / "scores_channel.csv")
    paths, theirs = classify(
        caffe, folder, tmp_path / "pictures", "rgb", prepared, 1, lambda mean: mean.astype(float).mean(1).mean(1)
    )
    assert ours.paths == paths
    np.testing.assert_allclose(ours.posteriors, theirs, rtol=0, atol=1e-6)
    assert abs(ours.posteriors - read_scores(folder / "scores_val.csv").posteriors).max() > 1e-4
    assert main(["table", str(copy), "-o", str(tmp_path / "table"), "--split", "channel"]) == 0
    assert "] vgg_s_small-rgb: the mean was subtracted by the rule channel instead of" in capsys.readouterr().out


def test_what_evaluate_writes(runs, sets):
    folder, prepared = runs / "vgg_s_small-rgb/finetune", open_set(sets / "expressions")
    scores = read_scores(folder / "scores_val.csv")
    manifest = {row["path"]: row for row in prepared.manifest if row["split"] == "val"}
    assert sorted(scores.paths) == sorted(manifest)
    assert [str(label) for label in scores.labels] == [manifest[path]["label"] for path in scores.paths]
    assert list(scores.classes) == prepared.classes
    with (folder / "confusion_val.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head[1:] == [row[0] for row in rows] == prepared.classes
    assert np.array_equal(np.array([row[1:] for row in rows], int), scores.confusion)
    assert scores.confusion.sum() == 28
    protocol = json.loads((folder / "scores_val.json").read_text())
    assert protocol.pop("engine_version").startswith("1.")
    inputs = {one["role"]: one for one in protocol.pop("inputs")}
    assert set(inputs) == {"manifest", "LMDB of rgb, val", "model", "deploy", "mean", "run.json"}
    for role, name in (("model", "model.caffemodel"), ("deploy", "deploy.prototxt"), ("run.json", "run.json")):
        assert inputs[role]["path"] == name
        assert inputs[role]["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert protocol.pop("scores_sha256") == hashlib.sha256((folder / "scores_val.csv").read_bytes()).hexdigest()
    people, faces = (str((sets / name).resolve()) for name in ("people", "expressions"))
    assert protocol.pop("trained_on") == [
        {"stage": "pretrain", "where": people, "images": 0}, {"stage": "finetune", "where": faces, "images": 0},
    ]  # fmt: skip
    assert len(protocol.pop("seal")) == 64
    assert protocol == {
        "engine": "caffe", "split": "val", "crops": 1, "set_digest": prepared.digest,
        "set_folder": str(prepared.folder.resolve()), "model": "vgg_s_small-rgb/finetune", "mean_rule": "crop",
        "dataset": "", "drawn": True, "set_split": "", "seen": "", "in_val": 28, "val_digest": prepared.digest,
        "official": {"names": [""], "how": "drawn"},
        "stand_in": False, "weights_sha256": hashlib.sha256((folder / "model.caffemodel").read_bytes()).hexdigest(),
    }  # fmt: skip
    picture = cv2.imread(str(folder / "confusion_val.png"))
    assert min(picture.shape[:2]) > 300


def caffe_test(caffe, folder, batches):
    """Return the accuracy that `caffe test` itself reports over batches of 20."""
    command = [caffe.program, "test", "--model=train_val.prototxt", "--weights=model.caffemodel"]
    with running(start(caffe, [*command, f"--iterations={batches}"], folder, stderr=PIPE)) as child:
        _, said = child.communicate()
    assert child.returncode == 0
    *batch, mean = map(float, re.findall(r"accuracy = (\S+)", said.decode()))
    assert len(batch) == batches
    return mean


def test_validation_accuracy_is_not_caffes_mean_over_batches(runs, caffe):
    """28 images are not a multiple of Caffe's batch of 20, so it counts the first 12 twice; reproduce that."""
    folder = runs / "vgg_s_small-rgb/finetune"
    scores = read_scores(folder / "scores_val.csv")
    last = [point.val_accuracy for point in read_progress(folder / "progress.csv") if point.val_accuracy is not None][
        -1
    ]
    assert last == pytest.approx(scores.accuracy, abs=1e-6)
    right = scores.predictions == scores.labels
    wrapped = np.concatenate([right, right])[:40].mean()
    assert caffe_test(caffe, folder, 2) == pytest.approx(wrapped, abs=1e-6)


def test_a_net_of_nan_is_right_for_caffe_and_an_error_for_us(copy, sets, caffe, capsys):
    folder = copy / "vgg_s_small-rgb/finetune"
    net = read_binary(folder / "model.caffemodel", NetParameter)
    bias = next(layer for layer in net.layer if layer.name == "fc8_cat").blobs[1]
    bias.data[:] = [float("nan")] * len(bias.data)
    write_binary(folder / "model.caffemodel", net)
    Run(folder).write_facts(replace(Run(folder).facts(), inputs=[]))  # as after a training that diverged
    assert caffe_test(caffe, folder, 2) == 1
    assert main(["evaluate", str(folder), "--set", str(sets / "expressions"), "--force"]) == 1
    complaint = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert complaint[-1] == (
        f"emotiw: {folder}/model.caffemodel: fc8_cat holds weights that are not numbers (NaN or infinite): fetch it "
        "again, or train it again with a lower base_lr"
    )


def test_what_cannot_be_scored_is_one_line(copy, sets, capsys):
    folder = copy / "vgg_s_small-rgb/finetune"

    def refused(*arguments):
        capsys.readouterr()
        assert main(["evaluate", *map(str, arguments)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    faces = ["--set", sets / "expressions"]
    assert "scores_val.csv exists already: give --force" in refused(folder, *faces)
    assert "and vgg_s_small-rgb/finetune has Angry, Disgust, " in refused(folder, "--set", sets / "people", "--force")
    assert "holds no test split" in refused(folder, *faces, "--split", "test")
    assert "is not a model: give one of VGG_S_rgb, " in refused(copy, *faces)
    assert "is not a prepared set" in refused(folder, "--set", copy, "--force")
    (folder / "model.caffemodel").unlink()
    assert "is not finished: continue with emotiw finetune vgg_s_small-rgb" in refused(folder, *faces, "--force")


def test_a_set_of_wrong_size_or_representation_is_one_line(copy, sets, tmp_path, capsys):
    from emotiw.data_prep.prepare import prepare
    from emotiw.data_prep.transform import Settings

    prepare(sets / "faces/expressions", tmp_path / "set", Settings("emotions", ("rgb",), 48, val=0.5))
    capsys.readouterr()
    for representation, words in (
        ("rgb", "has 48-pixel images but .* takes 64-pixel ones: prepare the set with --size 64"),
        (OWN, f"holds no {OWN}, only rgb"),
    ):
        folder = copy / f"vgg_s_small-{representation}/finetune"
        assert main(["evaluate", str(folder), "--set", str(tmp_path / "set"), "--force"]) == 1
        assert re.search(words, capsys.readouterr().err.splitlines()[-1])


def test_the_table_of_real_runs(runs, sets, tmp_path, capsys):
    """The report has faces because the set exists."""
    assert main(["table", str(runs), "-o", str(tmp_path / "table")]) == 0
    printed = capsys.readouterr().out
    for representation in ("rgb", OWN):
        scores = read_scores(runs / f"vgg_s_small-{representation}/finetune/scores_val.csv")
        assert f"| {scores.accuracy * 100:.2f} " in printed
    assert "for the iterations below, by caffe." in printed
    text = (tmp_path / "table/report.html").read_text()
    assert (
        text.count("data:image/png;base64,") == 1 + 1 + 1 + 2 * 2
    )  # ensemble, its mistakes, faces, two runs with two each
    assert "one face of each class in every representation" in text
