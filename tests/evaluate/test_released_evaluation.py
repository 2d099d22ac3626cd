"""`emotiw evaluate` and `emotiw table` on released models: stand-ins of all five in the real Caffe."""

import csv
import hashlib
import json
import shutil
from subprocess import PIPE

import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepare import prepare
from emotiw.data_prep.prepared_set import open_set
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.data_prep.transform import Settings
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.evaluate.released.catalog import WEIGHTS, released
from emotiw.evaluate.scores import read_scores
from emotiw.lbp_mapping.representation import PAPER

pytestmark = pytest.mark.caffe

# The authors' script on the same pictures, which have the size already, so that it only crops them.
CLASSIFY = """
import sys
import numpy as np
import caffe
models, weights, pictures, out = sys.argv[1:5]
found = {}
for name in sys.argv[5:]:
    blob = caffe.proto.caffe_pb2.BlobProto()
    with open(models + "/" + name + "/mean.binaryproto", "rb") as file:
        blob.ParseFromString(file.read())
    classifier = caffe.Classifier(
        models + "/" + name + "/deploy.prototxt", models + "/" + name + "/" + weights,
        mean=caffe.io.blobproto_to_array(blob)[0], channel_swap=(2, 1, 0), raw_scale=255, image_dims=(256, 256),
    )
    images = np.load(pictures)[name].astype(np.float32) / 255
    found[name] = [classifier.predict([image], oversample=False)[0] for image in images]
np.savez(out, **found)
"""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A set of 14 drawn faces at 256 pixels, 7 of which validate. Do not write in there."""
    folder = tmp_path_factory.mktemp("faces of 256")
    draw_expressions(folder / "faces", 2, 1, seed=0)
    settings = Settings("emotions", tuple(map(str, PAPER)), 256, val=0.5, group=r"actor\d+")
    prepare(folder / "faces", folder / "set", settings)
    return folder / "set"


@pytest.fixture(scope="module")
def scored(stand_ins, faces, caffe, tmp_path_factory):
    """RUNS with the scores of all five, four given by name and one as a folder. Copy it before you change it."""
    runs = tmp_path_factory.mktemp("runs of stand-ins")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOTIW_MODELS", str(stand_ins))
        named = [str(stand_ins / "VGG_S_rgb"), *list(released())[1:]]
        assert main(["evaluate", *named, "--set", str(faces), "-o", str(runs)]) == 0
    return runs


def test_scores_are_those_of_caffes_classifier(scored, stand_ins, faces, caffe, tmp_path):
    prepared, truth, pictures = open_set(faces), {}, {}
    for name, model in released().items():
        records = list(prepared.records(model.representation, "val"))
        pictures[name] = np.array([record.blob[::-1].transpose(1, 2, 0) for record in records])  # H x W x RGB
        truth[name] = tuple(record.path for record in records), [record.label for record in records]
    np.savez(tmp_path / "pictures.npz", **pictures)
    command = [
        caffe.python,
        "-c",
        CLASSIFY,
        stand_ins,
        WEIGHTS,
        tmp_path / "pictures.npz",
        tmp_path / "found.npz",
        *released(),
    ]
    with running(start(caffe, command, stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    theirs = np.load(tmp_path / "found.npz")
    for name in released():
        ours = read_scores(scored / "released" / name / "scores_val.csv")
        assert (ours.paths, ours.labels.tolist()) == truth[name]
        # With another batch size Caffe rounds differently: with AVX-512 kernels by 1.2e-5 at a posterior of 0.49.
        np.testing.assert_allclose(ours.posteriors, theirs[name], rtol=5e-5, atol=1e-5)
        assert np.ptp(theirs[name], axis=0).max() > 1e-3  # the faces do differ


def test_the_written_files_name_model_and_set(scored, stand_ins, faces):
    assert sorted(path.name for path in (scored / "released").iterdir()) == sorted(released())
    for name in released():
        folder = scored / "released" / name
        protocol = json.loads((folder / "scores_val.json").read_text())
        inputs = {one["role"]: one["path"] for one in protocol.pop("inputs")}
        assert inputs["model"] == str((stand_ins / name / WEIGHTS).resolve())
        assert protocol.pop("trained_on") == []  # unknown
        for more in ("scores_sha256", "seal"):
            assert len(protocol.pop(more)) == 64
        assert protocol == {
            "engine": "caffe", "engine_version": "1.0.0", "split": "val", "crops": 1,
            "set_digest": open_set(faces).digest, "set_folder": str(faces.resolve()),
            "model": f"{name} (STAND-IN: random weights)", "mean_rule": "resize", "stand_in": True,
            "dataset": "", "drawn": True, "set_split": "", "seen": "", "in_val": -1, "val_digest": "",
            "official": {"names": [""], "how": "drawn"},
            "weights_sha256": hashlib.sha256((stand_ins / name / WEIGHTS).read_bytes()).hexdigest(),
        }  # fmt: skip
        assert sorted(path.name for path in folder.iterdir()) == [
            "confusion_val.csv", "confusion_val.png", "predictions_val.txt", "scores_val.csv", "scores_val.json",
        ]  # fmt: skip
        scores = read_scores(folder / "scores_val.csv")
        lines = (folder / "predictions_val.txt").read_text().splitlines()
        assert [line.split()[1] for line in lines] == [scores.classes[label] for label in scores.predictions]


def test_the_table_of_stand_ins_alone(scored, tmp_path, capsys):
    assert main(["table", str(scored), "-o", str(tmp_path / "table")]) == 0
    printed = capsys.readouterr().out
    assert "STAND-INS (random weights), our code" in printed
    assert "authors' weights" not in printed.lower()
    with (tmp_path / "table/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows[:5]] == list(released())
    scores = [read_scores(scored / "released" / name / "scores_val.csv") for name in released()]
    for row, one in zip(rows, scores, strict=False):
        assert float(row["accuracy"]) == pytest.approx(one.accuracy, abs=1e-6)
    average = np.mean([one.posteriors for one in scores], axis=0).argmax(axis=1)
    (uniform,) = [row for row in rows if row["name"] == "ensemble of 5, STAND-INS: uniform average"]
    assert float(uniform["accuracy"]) == pytest.approx(np.mean(average == scores[0].labels), abs=1e-6)
    # The record of the scores names the set, so its faces are in the report.
    assert "Faces in every representation" in (tmp_path / "table/report.html").read_text()


def test_one_line_each(scored, stand_ins, faces, sets, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EMOTIW_MODELS", str(stand_ins))
    runs = tmp_path / "runs"

    def said(*arguments, status=0, of=faces):
        capsys.readouterr()
        assert main(["evaluate", *map(str, arguments), "--set", str(of), "-o", str(runs)]) == status
        captured = capsys.readouterr()
        (line,) = (captured.err if status else captured.out).strip().splitlines()[-1:]
        return line

    assert "holds no test split" in said("VGG_S_rgb", "--split", "test", status=1)
    wanted = "has 64-pixel images but VGG_S_rgb takes 256-pixel ones: prepare the set with --size 256"
    assert wanted in said("VGG_S_rgb", of=sets / "expressions", status=1)
    assert "and VGG_S_rgb has Angry, Disgust, Fear, " in said("VGG_S_rgb", of=sets / "people", status=1)
    # Reported before anything is scored, at any place in the list.
    assert "holds no lbp, only" in said("VGG_S_lbp", of=sets / "expressions", status=1)
    assert "VGG_S_face is not a model: give one of VGG_S_rgb, " in said("VGG_S_rgb", "VGG_S_face", status=1)
    twice = said("VGG_S_rgb", stand_ins / "VGG_S_rgb", status=2)
    assert "the scores of two models would both go to" in twice
    assert not runs.exists()
    shutil.copytree(scored, runs)
    assert "scores_val.csv exists already: give --force" in said("VGG_S_rgb", status=1)
    scores = (runs / "released/VGG_S_rgb/scores_val.csv").read_bytes()
    (runs / "released/VGG_S_rgb/scores_val.csv").write_text("")
    line = said("VGG_S_rgb", "--force")
    assert line.startswith("VGG_S_rgb (STAND-IN: random weights): accuracy ")
    assert line.endswith(f" -> {runs / 'released/VGG_S_rgb/scores_val.csv'}")
    assert (runs / "released/VGG_S_rgb/scores_val.csv").read_bytes() == scores
    monkeypatch.setenv("EMOTIW_MODELS", str(tmp_path / "nowhere"))
    assert "VGG_S_rgb is not here: fetch it with emotiw models fetch VGG_S_rgb" in said("VGG_S_rgb", status=1)
