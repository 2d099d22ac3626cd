"""`emotiw models verify --demo` on made archives: small nets in the layout of the authors' DemoDir.zip."""

import re
import shutil
import zipfile
from dataclasses import replace
from subprocess import PIPE

import cv2
import numpy as np
import pytest

from emotiw.__main__ import main
from emotiw.data_prep.emotions import EMOTIONS
from emotiw.data_prep.synthetic.faces import draw_expressions
from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.evaluate.demo_images import NOTEBOOK, ask
from emotiw.evaluate.released import stand_in, verify
from emotiw.evaluate.released.catalog import DEMO, DEPLOY, MEAN, WEIGHTS, released
from emotiw.prototxt.formats.messages import NetParameter, read_binary, write_binary

FIVE = ("VGG_S_rgb", "VGG_S_lbp", "VGG_S_cyclic_lbp", "VGG_S_cyclic_lbp_5", "VGG_S_cyclic_lbp_10")
RULES = ("resize", "crop", "channel")

# The authors' notebook for one model; then the same with the two other rules for the mean.
NOTEBOOK_CELL = """
import sys
import numpy as np
import caffe
folder, out = sys.argv[1:3]
blob = caffe.io.caffe_pb2.BlobProto.FromString(open(folder + "/mean.binaryproto", "rb").read())
mean = caffe.io.blobproto_to_array(blob)[0]
found = {}
for rule, taken in (("resize", mean), ("crop", mean[:, 4:60, 4:60]), ("channel", mean.mean(1).mean(1))):
    net = caffe.Classifier(
        folder + "/deploy.prototxt", folder + "/EmotiW_VGG_S.caffemodel", mean=taken,
        channel_swap=(2, 1, 0), raw_scale=255, image_dims=(64, 64),
    )
    found[rule] = net.predict([caffe.io.load_image(folder + "/demo_image.png")], oversample=False)[0]
np.savez(out, **found)
"""


@pytest.fixture
def face(tmp_path):
    """A drawn face of the size of the authors' demo image."""
    draw_expressions(tmp_path / "drawn", 1, 1, seed=4)
    picture = cv2.imread(str(min((tmp_path / "drawn").rglob("*.png"))))
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), cv2.resize(picture, (143, 181)))
    return path


@pytest.fixture
def models(small, monkeypatch):
    """The folder of models of a small net; no digest and size is known of any."""
    for module in (verify, stand_in):
        monkeypatch.setattr(module, "MEAN_SIDE", 64)
    for model in released().values():
        for name, file in model.files.items():
            monkeypatch.setitem(model.files, name, replace(file, size=None, digest=""))
    return small


@pytest.fixture
def archive(models, authors, face, tmp_path):
    """Return a function that packs DemoDir.zip with nets that answer anything with the notebook's answer, or another's;
    an answer of None leaves the random net as it is."""

    def pack(**others):
        for name, answer in (NOTEBOOK | others).items():
            folder = authors(tmp_path / "DemoDir" / name, name)
            shutil.copy(face, folder / DEMO)
            if answer is not None:
                answer_with(folder / WEIGHTS, EMOTIONS.index(answer))
        with zipfile.ZipFile(tmp_path / "DemoDir.zip", "w") as packed:
            for file in sorted((tmp_path / "DemoDir").rglob("*.*")):
                packed.write(file, file.relative_to(tmp_path))
        return tmp_path / "DemoDir.zip"

    return pack


def answer_with(weights, label):
    net = read_binary(weights, NetParameter)
    (last,) = [layer for layer in net.layers if layer.name == "fc8_cat"]
    last.blobs[0].data[:] = [0] * len(last.blobs[0].data)
    last.blobs[1].data[:] = [float(at == label) for at in range(7)]
    write_binary(weights, net)


def fetched(capsys, *names, source):
    capsys.readouterr()
    assert main(["models", "fetch", *names, "--from", str(source)]) == 0
    return capsys.readouterr().out


def verified(capsys, *more, status=0):
    """Run `emotiw models verify --demo`; return the lines after the checks of the files, and the error."""
    capsys.readouterr()
    assert main(["models", "verify", "--demo", *more]) == status
    out, err = capsys.readouterr()
    assert "internal error" not in err
    return [line for line in out.splitlines() if "layers as on the card" not in line], err


def test_what_the_notebook_printed():
    assert dict(NOTEBOOK) == dict(zip(FIVE, ("Angry", "Angry", "Fear", "Angry", "Angry"), strict=True))


@pytest.mark.caffe
def test_five_that_agree(archive, models, capsys):
    out = fetched(capsys, "all", source=archive())
    assert [f"{name}: whole, with its demo image -> {models / name}" in out for name in FIVE] == [True] * 5
    (head, *lines), err = verified(capsys)
    assert head.startswith("the demo image beside each model, the centre crop, each rule for the mean, Caffe 1.")
    for name, line in zip(FIVE, lines[:5], strict=True):
        said = ", ".join(f"{NOTEBOOK[name]} 0.3118 ({rule})" for rule in RULES)  # e / (e + 6)
        assert line == f"{name}: demo_image.png, 143 x 181: {said}; the notebook: {NOTEBOOK[name]}"
    assert lines[5:] == [
        "resize (what current Caffe does with the notebook's mean): all five answers are the notebook's",
        "crop: all five answers are the notebook's",
        "channel: all five answers are the notebook's",
    ]
    assert err == ""


@pytest.mark.caffe
def test_one_that_does_not_agree(archive, capsys):
    fetched(capsys, "all", source=archive(VGG_S_cyclic_lbp="Angry"))
    lines, err = verified(capsys, status=1)
    for line in lines[-3:]:
        assert line.endswith(": 4 of 5 answers are the notebook's; VGG_S_cyclic_lbp says Angry, not Fear")
    assert err == (
        "emotiw: VGG_S_cyclic_lbp does not answer as the authors' notebook printed: fetch it again, or name another "
        "Caffe by --caffe\n"
    )


@pytest.mark.caffe
def test_the_answers_are_those_of_caffes_classifier(archive, models, caffe, engine, tmp_path, capsys):
    """Also of a model of codes: the image is not mapped again."""
    fetched(capsys, "VGG_S_lbp", source=archive(VGG_S_lbp=None))
    command = [caffe.python, "-c", NOTEBOOK_CELL, models / "VGG_S_lbp", tmp_path / "found.npz"]
    with running(start(caffe, command, stderr=PIPE)) as child:
        _, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    theirs, ours = np.load(tmp_path / "found.npz"), ask("VGG_S_lbp", engine)
    assert tuple(ours.posteriors) == RULES
    for rule in RULES:
        np.testing.assert_allclose(ours.posteriors[rule], theirs[rule], rtol=0, atol=1e-5)
        assert ours.best(rule) == EMOTIONS[theirs[rule].argmax()]
    assert min(abs(theirs["resize"] - theirs[rule]).max() for rule in RULES[1:]) > 1e-4


@pytest.mark.caffe
def test_some_models_are_asked_and_the_others_named(archive, models, capsys):
    fetched(capsys, "all", source=archive())
    (_, _, first, *_), err = verified(capsys, "VGG_S_cyclic_lbp")
    assert first.endswith(": 1 of 1 answers are the notebook's; 4 of the five not asked")
    assert err == ""
    (models / "VGG_S_lbp" / DEMO).unlink()
    lines, err = verified(capsys, status=1)
    assert lines[0].startswith("VGG_S_lbp: no demo_image.png is beside it")
    assert lines[-1] == "channel: 4 of 4 answers are the notebook's; 1 of the five not asked"
    assert err == "emotiw: the demo image was not asked of VGG_S_lbp, as listed\n"


def test_single_files_bring_no_image(archive, models, tmp_path, capsys):
    archive()
    for file in (WEIGHTS, MEAN, DEPLOY):
        out = fetched(capsys, "VGG_S_lbp", source=tmp_path / "DemoDir/VGG_S_lbp" / file)
    assert out.endswith(f"VGG_S_lbp: whole -> {models / 'VGG_S_lbp'}\n")
    (line,), err = verified(capsys, status=1)
    assert line == (
        "VGG_S_lbp: no demo_image.png is beside it: single files by id bring none; emotiw models fetch VGG_S_lbp "
        "--from DemoDir.zip does"
    )
    assert err == "emotiw: the demo image was not asked of VGG_S_lbp, as listed\n"
    out = fetched(capsys, "VGG_S_lbp", source=tmp_path / "DemoDir.zip")  # as the line says
    assert out == f"VGG_S_lbp: whole, with its demo image -> {models / 'VGG_S_lbp'}\n"
    assert (models / "VGG_S_lbp" / DEMO).read_bytes() == (tmp_path / "face.png").read_bytes()


def test_stand_ins_cannot_be_asked(models, face, capsys):
    assert main(["models", "fetch", "all", "--stand-in"]) == 0
    shutil.copy(face, models / "VGG_S_rgb" / DEMO)  # left from the authors' files
    lines, err = verified(capsys, status=1)
    assert lines == [f"{name}: a STAND-IN cannot be asked: its weights are random" for name in FIVE]
    assert err == f"emotiw: the demo image was not asked of {', '.join(FIVE)}, as listed\n"


def test_a_wrong_model_is_not_asked(archive, models, capsys):
    fetched(capsys, "VGG_S_lbp", source=archive())
    (models / "VGG_S_lbp" / DEPLOY).write_text("name: 'mine'")
    lines, err = verified(capsys, status=1)
    assert all(line.startswith("VGG_S_lbp: WRONG: ") for line in lines)
    assert err.startswith("emotiw: 1 of 1 models are wrong")


def test_a_folder_has_the_images_too_and_one_that_is_here_stays(archive, models, tmp_path, capsys):
    archive()
    out = fetched(capsys, "VGG_S_lbp", source=tmp_path / "DemoDir/VGG_S_lbp")
    assert ", with its demo image -> " in out
    (models / "VGG_S_lbp" / DEMO).write_bytes(b"mine")
    assert ", with its demo image" not in fetched(capsys, "VGG_S_lbp", source=tmp_path / "DemoDir")
    assert (models / "VGG_S_lbp" / DEMO).read_bytes() == b"mine"
    assert ", with its demo image" in fetched(capsys, "VGG_S_lbp", "--force", source=tmp_path / "DemoDir")


def test_what_is_no_image_is_refused(archive, models, tmp_path, capsys):
    archive()
    (tmp_path / "DemoDir/VGG_S_lbp" / DEMO).write_text("<html>")
    assert main(["models", "fetch", "VGG_S_lbp", "--from", str(tmp_path / "DemoDir")]) == 1
    assert re.search(
        r"gives a VGG_S_lbp/demo_image.png that is not an image: .*: copy the source again\n$", capsys.readouterr().err
    )
    assert not (models / "VGG_S_lbp" / DEMO).exists()


@pytest.mark.caffe
def test_an_image_that_was_damaged_is_one_line(archive, models, capsys):
    fetched(capsys, "VGG_S_lbp", source=archive())
    (models / "VGG_S_lbp" / DEMO).write_bytes(b"")
    _, err = verified(capsys, status=1)
    assert err == (
        f"emotiw: {models / 'VGG_S_lbp' / DEMO} is not an image: empty file: emotiw models fetch VGG_S_lbp --from "
        "DemoDir.zip --force\n"
    )
