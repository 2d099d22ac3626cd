"""`emotiw predict` against `caffe.Classifier`, which the authors used: all five stand-ins in the real Caffe."""

import json
import re
from pathlib import Path
from subprocess import PIPE

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.evaluate.model import open_model
from emotiw.evaluate.predict.predictor import Predictor
from emotiw.evaluate.released.catalog import WEIGHTS, released

pytestmark = pytest.mark.caffe

PAGE = (Path(__file__).parents[3] / "docs/released_models.md").read_text(encoding="utf-8")
RULES = ("resize", "crop", "channel")

# A usual pycaffe script for each model: pictures in its representation, with the whole mean, with its
# centre, and with one number for each channel.
CLASSIFY = """
import sys
import numpy as np
import caffe
folder, weights, out = sys.argv[1:4]
blob = caffe.proto.caffe_pb2.BlobProto()
with open(folder + "/mean.binaryproto", "rb") as file:
    blob.ParseFromString(file.read())
mean = caffe.io.blobproto_to_array(blob)[0]
images = [caffe.io.load_image(name) for name in sys.argv[4:]]
found = {}
for rule, taken in (("resize", mean), ("crop", mean[:, 16:240, 16:240]), ("channel", mean.mean(1).mean(1))):
    classifier = caffe.Classifier(
        folder + "/deploy.prototxt", folder + "/" + weights, mean=taken,
        channel_swap=(2, 1, 0), raw_scale=255, image_dims=(256, 256),
    )
    for crops in (1, 10):
        found["%s %d" % (rule, crops)] = [classifier.predict([image], oversample=crops == 10)[0] for image in images]
np.savez(out, **found)
"""


@pytest.fixture(scope="module")
def emotion(tmp_path_factory):
    """Drawn faces: smaller than 256 pixels, larger, of that size, not square, not upright."""
    folder = tmp_path_factory.mktemp("faces")
    draw_expressions(folder / "drawn", 1, 1, seed=3)
    files = sorted((folder / "drawn").rglob("*.png"))
    (folder / "emotion").mkdir()
    for file, size in zip(files, [None, (420, 640), (256, 256)], strict=False):
        face = cv2.imread(str(file))
        cv2.imwrite(
            str(folder / "emotion" / f"{file.parent.name}.png"), face if size is None else cv2.resize(face, size)
        )
    return folder / "emotion"


QUICK = "VGG_S_cyclic_lbp_5"  # the others take as long again


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow) for name in released()]
)
def test_posteriors_are_those_of_caffes_classifier(
    name, stand_ins, emotion, caffe, engine, tmp_path, monkeypatch, capsys
):
    """Both crops, all mean rules; the pictures that pycaffe gets are the files that `emotiw map` writes."""
    monkeypatch.setenv("EMOTIW_MODELS", str(stand_ins))
    faces, representation = sorted(emotion.glob("*.png")), released()[name].representation
    mapped = faces
    if representation != "rgb":
        assert main(["map", *map(str, faces), "-r", representation, "-o", str(tmp_path)]) == 0
        mapped = [tmp_path / f"{face.stem}.{representation}.png" for face in faces]
    command = [caffe.python, "-c", CLASSIFY, stand_ins / name, WEIGHTS, tmp_path / "found.npz", *mapped]
    with running(start(caffe, command, stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    theirs = np.load(tmp_path / "found.npz")
    model = open_model(name)
    for rule in RULES:
        for crops in (1, 10):
            with Predictor([model], engine, crops, rule) as predictor:
                ours = np.array([predictor.scores(predictor.inputs(rgb(face)))[0] for face in faces])
            np.testing.assert_allclose(ours, theirs[f"{rule} {crops}"], rtol=0, atol=1e-5)
    # They do differ: faces, crops and rules.
    assert np.ptp(theirs["resize 1"], axis=0).max() > 1e-2
    assert abs(theirs["resize 1"] - theirs["crop 1"]).max() > 1e-4
    assert abs(theirs["resize 1"] - theirs["channel 1"]).max() > 1e-4
    assert abs(theirs["resize 1"] - theirs["resize 10"]).max() > 1e-4
    # The command prints the first of these, marked as a stand-in's.
    capsys.readouterr()
    assert main(["predict", *map(str, faces), "--aligned", "--model", name, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    said = [[*record["posteriors"][f"{name} (STAND-IN: random weights)"].values()] for record in document["pictures"]]
    np.testing.assert_allclose(said, theirs["resize 1"], rtol=0, atol=1e-5)


def test_what_each_model_sees_is_byte_for_byte_what_map_writes(stand_ins, emotion, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTIW_MODELS", str(stand_ins))
    face = emotion / "Angry.png"
    predictor = Predictor([open_model(name) for name in released()], engine)
    seen = dict(zip(released(), predictor.mapped(rgb(face)), strict=True))
    assert main(["map", str(face), "-o", str(tmp_path)]) == 0
    np.testing.assert_array_equal(seen.pop("VGG_S_rgb"), rgb(face))
    for name, picture in seen.items():
        written = (tmp_path / f"Angry.{released()[name].representation}.png").read_bytes()
        assert cv2.imencode(".png", picture[..., ::-1])[1].tobytes() == written
    assert len(seen) == 4


@pytest.mark.slow
def test_explain_draws_a_released_model(stand_ins, emotion, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMOTIW_MODELS", str(stand_ins))
    output = tmp_path / "explained.png"
    command = ["explain", str(emotion / "Angry.png"), "--aligned", "--model", "VGG_S_cyclic_lbp_10", "-o", str(output)]
    assert main(command) == 0
    assert "VGG_S_cyclic_lbp_10 (STAND-IN: random weights): cyclic_lbp_10, resized to 256" in capsys.readouterr().out
    assert min(cv2.imread(str(output)).shape[:2]) > 300


def rgb(file):
    return np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])


@pytest.mark.slow
def test_the_pages_script_prints_what_predict_says(stand_ins, emotion, caffe, tmp_path, monkeypatch, capsys):
    script = re.search(r"\$ cat > classify.py <<END\n(.*?)\nEND\n", PAGE, re.S)[1]
    (tmp_path / "classify.py").write_text(script)
    with running(
        start(caffe, [caffe.python, "classify.py", stand_ins / "VGG_S_rgb"], tmp_path, stdout=PIPE, stderr=PIPE)
    ) as child:
        said, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    assert said.decode().splitlines() == []  # no emotion/*.png yet
    (tmp_path / "emotion").symlink_to(emotion)
    with running(
        start(caffe, [caffe.python, "classify.py", stand_ins / "VGG_S_rgb"], tmp_path, stdout=PIPE, stderr=PIPE)
    ) as child:
        said, _ = child.communicate()
    monkeypatch.setenv("EMOTIW_MODELS", str(stand_ins))
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "emotion", "--aligned", "--top", "1"]) == 0
    ours = capsys.readouterr().out.splitlines()[1:]
    theirs = dict(line.split() for line in said.decode().splitlines())
    assert len(theirs) == len(list(emotion.glob("*.png")))
    assert {line.split(": ")[0]: line.split(": ")[2].split()[0] for line in ours} == theirs
