"""`emotiw export`: runs and stand-ins as ONNX files, by ONNX Runtime and OpenCV, beside the real Caffe."""

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.prepared_set import open_set
from emotiw.engine.preprocessing import net_inputs
from emotiw.evaluate.model import open_model
from emotiw.evaluate.predict.predictor import Predictor
from emotiw.evaluate.released.catalog import WEIGHTS
from emotiw.files import file_digest
from emotiw.inputs import Look, write_sealed
from emotiw.lbp_mapping.mapping import map_image
from emotiw.lbp_mapping.representation import parse

PAGE = (Path(__file__).parents[2] / "docs/export.md").read_text(encoding="utf-8")
EMOTIW = Path(sys.executable).with_name("emotiw")
OWN = "cyclic_lbp_r3_t5"


@pytest.fixture
def run(runs, tmp_path):
    """A copy of the RGB run."""
    return shutil.copytree(runs / "vgg_s_small-rgb/finetune", tmp_path / "run")


@pytest.fixture(scope="module")
def face(sets):
    """A drawn face in colour, neither square nor of a net's size."""
    file = sorted((sets / "faces/expressions").rglob("*.png"))[5]
    picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return cv2.resize(picture, (143, 181))


def by_runtime(path, name, value):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["prob"], {name: value})[0]


def by_opencv(path, value):
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(value)
    return net.forward()


def change_record(run, **values):
    """Change a run.json as if it had been written so."""
    write_sealed(run / "run.json", json.loads((run / "run.json").read_text()) | values)


def facts_of(path):
    return {each.key: each.value for each in onnx.load(path).metadata_props}


@pytest.mark.caffe
@pytest.mark.parametrize("name", ["rgb", OWN])
def test_a_set_is_scored_as_by_caffe(name, runs, sets, engine, tmp_path):
    """Images of the set as they are stored, by both runtimes: the scores of `emotiw evaluate`'s nets."""
    folder = runs / f"vgg_s_small-{name}/finetune"
    out = tmp_path / "model.onnx"
    assert main(["export", str(folder), "-o", str(out)]) == 0
    model = open_model(folder)
    prepared = open_set(sets / "expressions")
    bgr = np.stack([record.blob for record in prepared.records(name, "val")])
    with engine.scorer(model.deploy, model.weights) as scorer:
        wanted = scorer.scores(np.concatenate([net_inputs(image, model.input_mean()) for image in bgr]))
    images = np.ascontiguousarray(bgr[:, ::-1].transpose(0, 2, 3, 1))
    for found in (by_runtime(out, name, images), by_opencv(out, images)):
        assert found.shape == wanted.shape == (28, 7)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.caffe
@pytest.mark.parametrize(("name", "flags"), [("rgb", ["--input", "face"]), (OWN, ["--mapping"])])
def test_a_plain_face_is_scored_as_by_predict(name, flags, runs, engine, face, tmp_path, capsys):
    folder = runs / f"vgg_s_small-{name}/finetune"
    out = tmp_path / "model.onnx"
    assert main(["export", str(folder), *flags, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "face: uint8, H x W x 3, RGB: " in said
    assert "resized to 64 x 64 as pycaffe does" in said
    assert (f"mapped to {OWN}" in said) == (name == OWN)
    with Predictor([open_model(folder)], engine) as predictor:
        for sides in (None, (64, 64), (300, 40), (50, 700)):
            seen = face if sides is None else cv2.resize(face, sides)
            found = by_runtime(out, "face", seen)
            wanted = predictor.scores(predictor.inputs(seen))
            print(f"{name}, {seen.shape}: largest difference from Caffe {np.abs(found - wanted).max():.1e}")
            assert found.shape == (1, 7)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.caffe
def test_mean_values_and_scale_of_a_users_net(run, engine, face, tmp_path):
    """Instead of the mean image, as in many train_val.prototxt of others."""
    train_val = run / "train_val.prototxt"
    text, changed = re.subn(
        r"mean_file: .*",
        "mean_value: 104\n mean_value: 117\n mean_value: 123\n scale: 0.0078125",
        train_val.read_text(),
    )
    assert changed == 2
    train_val.write_text(text)
    assert main(["export", str(run), "--input", "face", "-o", str(tmp_path / "model.onnx")]) == 0
    assert "minus the mean 104 / 117 / 123, times 0.0078125" in facts_of(tmp_path / "model.onnx")["input"]
    with Predictor([open_model(run)], engine) as predictor:
        wanted = predictor.scores(predictor.inputs(face))
    np.testing.assert_allclose(by_runtime(tmp_path / "model.onnx", "face", face), wanted, rtol=0, atol=1e-5)


@pytest.mark.caffe
def test_a_mapped_picture_is_the_input_without_the_mapping(runs, engine, face, tmp_path):
    """At the set's size: what `emotiw map` writes, resized by the user."""
    out = tmp_path / "model.onnx"
    assert main(["export", str(runs / f"vgg_s_small-{OWN}/finetune"), "-o", str(out)]) == 0
    mapped = cv2.resize(map_image(face, parse(OWN)), (64, 64))
    model = open_model(runs / f"vgg_s_small-{OWN}/finetune")
    with engine.scorer(model.deploy, model.weights) as scorer:
        wanted = scorer.scores(net_inputs(mapped[..., ::-1].transpose(2, 0, 1), model.input_mean()))
    np.testing.assert_allclose(by_runtime(out, OWN, mapped[None]), wanted, rtol=0, atol=1e-5)


@pytest.mark.caffe
def test_a_face_that_is_too_small_for_the_radius_is_an_error(runs, face, tmp_path):
    out = tmp_path / "model.onnx"
    assert main(["export", str(runs / f"vgg_s_small-{OWN}/finetune"), "--mapping", "-o", str(out)]) == 0
    assert np.isfinite(by_runtime(out, "face", face[:7, :7])).all()
    for tiny in (face[:6, :20], face[:20, :6], face[:5, :5]):  # else NaN, whose argmax is the first class
        with pytest.raises(Exception, match="indices element out of data bounds"):
            by_runtime(out, "face", tiny)


@pytest.mark.caffe
def test_the_file_says_what_it_is(runs, run, tmp_path, capsys):
    out = tmp_path / "model.onnx"
    assert main(["export", str(run), "-o", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        "vgg_s_small-rgb/finetune: rgb: uint8, N x 64 x 64 x 3, RGB: the centre crop of 56 x 56, BGR, minus the mean "
        "cropped to it"
    )
    assert said[1] == f"{out}: {out.stat().st_size / 1e6:.1f} MB, opset 13"
    assert said[2] == "prob: Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise"
    facts, record = facts_of(out), json.loads((run / "run.json").read_text())
    assert json.loads(facts["classes"]) == record["classes"]
    files = {
        "model": "model.caffemodel",
        "deploy": "deploy.prototxt",
        "mean": "mean.binaryproto",
        "run.json": "run.json",
    }
    assert json.loads(facts["sha256"]) == {role: file_digest(run / name) for role, name in files.items()}
    assert facts["representation"] == "rgb"
    assert facts["provenance"] == "trained here"
    assert facts["seed"] == str(record["seed"])
    assert facts["set_digest"] == record["set_digest"]
    assert facts["input"] == said[0].partition(": rgb: ")[2]
    assert str(tmp_path) not in str(onnx.load(out, load_external_data=False).metadata_props)


@pytest.mark.caffe
def test_the_marks_of_a_run_are_in_its_file(run, tmp_path):
    change_record(run, resumed=[2], faces="whole")
    assert main(["export", str(run), "-o", str(tmp_path / "model.onnx")]) == 0
    facts = facts_of(tmp_path / "model.onnx")
    assert facts["marks"] == "resumed at 2"
    assert facts["faces"] == "whole"


@pytest.mark.caffe
def test_the_same_files_give_the_same_bytes(run, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        assert main(["export", str(run), "-o", str(tmp_path / name)]) == 0
    first = (tmp_path / "a.onnx").read_bytes()
    assert first == (tmp_path / "b.onnx").read_bytes()
    assert main(["export", str(run), "-o", str(tmp_path / "a.onnx")]) == 1
    assert main(["export", str(run), "--mean", "resize", "-o", str(tmp_path / "a.onnx"), "--force"]) == 0
    assert first != (tmp_path / "a.onnx").read_bytes()
    assert "minus the mean resized to it" in facts_of(tmp_path / "a.onnx")["input"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx", "run"]


@pytest.mark.caffe
def test_one_number_for_each_channel(run, engine, face, tmp_path):
    command = ["export", str(run), "--input", "face", "--mean", "channel", "-o", str(tmp_path / "model.onnx")]
    assert main(command) == 0
    assert facts_of(tmp_path / "model.onnx")["input"].endswith("BGR, minus the mean's average of each channel")
    with Predictor([open_model(run)], engine, mean_rule="channel") as predictor:
        wanted = predictor.scores(predictor.inputs(face))
    found = by_runtime(tmp_path / "model.onnx", "face", face)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    with Predictor([open_model(run)], engine) as predictor:
        assert np.abs(found - predictor.scores(predictor.inputs(face))).max() > 1e-4


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("rgb", ["--mapping"], "sees RGB, which has no mapping: give --input face"),
        (OWN, ["--input", "face"], f"sees {OWN}, not plain faces: give --mapping"),
        (OWN, ["--mapping", "--input", "prepared"], "leave one out"),
        ("rgb", ["-o", "run/model.caffemodel"], "run/model.caffemodel is not the name of an ONNX file"),
        ("rgb", ["-o", "folder.onnx"], "folder.onnx is not the name of an ONNX file"),
    ],
)
def test_impossible_requests_write_nothing(name, flags, words, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    folder = str(runs / f"vgg_s_small-{name}/finetune")
    assert main(["export", folder, "-o", "new.onnx", "--force", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


@pytest.mark.caffe
def test_a_layer_that_cannot_be_exported_is_named(run, tmp_path, capsys):
    deploy = run / "deploy.prototxt"
    deploy.write_text(deploy.read_text().replace("lrn_param {", "lrn_param {\n    norm_region: WITHIN_CHANNEL"))
    change_record(run, inputs=[])  # as of an older run, which has no digests
    assert main(["export", str(run), "-o", str(tmp_path / "model.onnx")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "layer norm1 of type LRN cannot be exported to ONNX: its norm_region is WITHIN_CHANNEL" in line
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.caffe
def test_changed_files_are_refused(run, tmp_path, capsys):
    with (run / "deploy.prototxt").open("a") as file:
        file.write("# changed\n")
    assert main(["export", str(run), "-o", str(tmp_path / "model.onnx")]) == 1
    assert "is not the deploy on record" in capsys.readouterr().err


def test_without_the_package_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("emotiw.extras.find_spec", lambda name: None)
    assert main(["export", "VGG_S_rgb", "-o", str(tmp_path / "model.onnx")]) == 1
    line = "emotiw: emotiw export needs the package onnx: in the clone, pip install '.[export]'\n"
    assert capsys.readouterr().err == line


@pytest.mark.caffe
@pytest.mark.slow
@pytest.mark.parametrize(("name", "flags"), [("VGG_S_rgb", ["--input", "face"]), ("VGG_S_cyclic_lbp_5", ["--mapping"])])
def test_stand_ins_from_a_plain_face(name, flags, stand_ins, engine, face, tmp_path, monkeypatch, measured):
    monkeypatch.setenv("EMOTIW_MODELS", str(stand_ins))
    out = tmp_path / "model.onnx"
    done, peak = measured([EMOTIW, "export", name, *flags, "-o", out])
    assert done.returncode == 0, done.stderr
    print(f"peak memory {peak / 1e9:.1f} GB")
    assert peak < 2.5e9
    facts = facts_of(out)
    assert facts["provenance"] == "STAND-IN: random weights"
    assert facts["licence"].startswith("Copyright 2015, Gil Levi and Tal Hassner")
    assert json.loads(facts["sha256"])["model"] == file_digest(stand_ins / name / WEIGHTS)
    with Predictor([open_model(name)], engine) as predictor:
        wanted = predictor.scores(predictor.inputs(face))
    difference = np.abs(by_runtime(out, "face", face) - wanted).max()
    print(f"{name}, resized inside: largest difference from Caffe {difference:.1e}")
    assert difference < 1e-5


@pytest.mark.caffe
@pytest.mark.parametrize(("name", "flags"), [("rgb", ["--input", "face"]), (OWN, ["--mapping"])])
def test_opencv_refuses_the_graphs_that_it_cannot_run(name, flags, runs, face, tmp_path):
    """As the page says: an error, and never other posteriors."""
    out = tmp_path / "model.onnx"
    assert main(["export", str(runs / f"vgg_s_small-{name}/finetune"), *flags, "-o", str(out)]) == 0
    with pytest.raises(cv2.error):
        by_opencv(out, face)


SNIPPETS = [block for block in re.findall(r"^```\n(.*?)^```$", PAGE, re.S | re.M) if block.startswith("import ")]


def test_the_page_has_snippets():
    assert [snippet.split()[1] for snippet in SNIPPETS] == ["json", "cv2"]


@pytest.mark.caffe
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_pages_snippets_run(snippet, runs, engine, face, tmp_path, monkeypatch, capsys):
    """With a run instead of the released model: its input has another size."""
    monkeypatch.chdir(tmp_path)
    (name,) = re.findall(r'"(\w+)\.onnx"', snippet)
    representation, flags = {"face": (OWN, ["--mapping"]), "rgb": ("rgb", [])}[name]
    folder = runs / f"vgg_s_small-{representation}/finetune"
    assert main(["export", str(folder), *flags, "-o", f"{name}.onnx"]) == 0
    cv2.imwrite("face.png", face[..., ::-1])
    capsys.readouterr()
    names = {}
    exec(snippet.replace("256", "64"), names)
    model = open_model(folder, Look.STAT)
    with Predictor([model], engine) as predictor:
        seen = face if name == "face" else cv2.resize(face, (64, 64))
        (wanted,) = predictor.scores(predictor.inputs(seen))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(model.classes)
    np.testing.assert_allclose([float(line.split()[1]) for line in lines], wanted, rtol=0, atol=1e-4)
